package lr

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// tiny is a ViT of two blocks over 8×8 images, with every parameter trained,
// and a batch of four random images.
func tiny(t testing.TB, mask bool) (*vit.Model, *forward.Batch, noise.Source) {
	t.Helper()
	return network(t, tinyArch, mask)
}

var tinyArch = vit.Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 16, Layers: 2, Heads: 2, MLP: 24, Classes: 3, Eps: 1e-6}

// gatedArch is tinyArch with the function of a gated feed-forward layer.
var gatedArch = func() vit.Arch { a := tinyArch; a.Act = vit.SiLU; return a }()

// network is a network of any family over such images.
func network(t testing.TB, a vit.Architecture, mask bool) (*vit.Model, *forward.Batch, noise.Source) {
	t.Helper()
	return prepared(t, a, mask, func(*vit.Net) {})
}

// prepared is network of a net that something is done to before it is put on a device.
func prepared(t testing.TB, a vit.Architecture, mask bool, do func(*vit.Net)) (*vit.Model, *forward.Batch,
	noise.Source) {
	t.Helper()
	return shaped(t, a, mask, func(n *vit.Net, src noise.Source) noise.Source {
		do(n)
		return src
	})
}

// shaped is prepared with another source of noise.
func shaped(t testing.TB, a vit.Architecture, mask bool, do func(*vit.Net, noise.Source) noise.Source) (*vit.Model,
	*forward.Batch, noise.Source) {
	t.Helper()
	w, err := vit.NewWeights(a)
	if err != nil {
		t.Fatal(err)
	}
	w.Init(func(dst []float32, tensor int) {
		g := noise.Rand(7, noise.Init, uint32(tensor))
		for i := range dst {
			dst[i] = float32(g.Normal())
		}
	})
	for _, p := range w.Params() {
		p.Grad = make([]float32, len(p.Data))
		// Away from the usual start of 0.02: losses differ, and the norm of the
		// cls row is not so small that finite differences see its curvature.
		if p.Name == "classifier.weight" || p.Role == "cls_token" || p.Role == "position" || p.Role == "prompt" {
			for i := range p.Data {
				p.Data[i] *= 25
			}
		}
	}
	src := noise.Gaussian(11)
	loss, err := objective.New("cross_entropy")
	if err != nil {
		t.Fatal(err)
	}
	b := &forward.Batch{Size: 4, Inputs: make([]float32, 4*3*64), Labels: []int32{0, 1, 2, 1}, Index: []int32{0, 1,
		2, 3}}
	g := noise.Rand(5, noise.Test)
	for i := range b.Inputs {
		b.Inputs[i] = float32(g.Normal())
	}
	n := vit.NewNet(w)
	src = do(n, src)
	return vit.NewModel(n, vit.Options{Threads: 2, Noise: src, Loss: loss, Mask: mask}), b, src
}

func clearGrads(m query.Model) {
	for _, p := range m.Params() {
		clear(p.Grad)
	}
}

// meanLoss is J of a batch.
func meanLoss(t *testing.T, m *vit.Model, b *forward.Batch) float64 {
	c, err := m.Evaluate(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	var s float64
	for _, l := range c.Losses {
		s += float64(l)
	}
	return s / float64(b.Size)
}

// derivative is the central finite difference of a loss along direction u of numbers, which it
// leaves as they were.
func derivative(x, u []float32, h float32, loss func() float64) float64 {
	orig := slices.Clone(x)
	at := func(s float32) float64 {
		for j := range x {
			x[j] = orig[j] + s*u[j]
		}
		return loss()
	}
	d := (at(h) - at(-h)) / (2 * float64(h))
	at(0)
	return d
}

// slope is the central finite difference of J along unit direction u over the
// given parameters.
func slope(t *testing.T, m *vit.Model, b *forward.Batch, params []int, u [][]float32) float64 {
	const h = 2e-3
	var orig [][]float32
	for _, i := range params {
		orig = append(orig, append([]float32(nil), m.Params()[i].Data...))
	}
	at := func(s float32) float64 {
		for k, i := range params {
			p := m.Params()[i].Data
			for j := range p {
				p[j] = orig[k][j] + s*u[k][j]
			}
		}
		m.Reload()
		return meanLoss(t, m, b)
	}
	d := (at(h) - at(-h)) / (2 * h)
	at(0)
	return d
}

// unit directions: one random, one along the gradient that bp gives.
func directions(t *testing.T, m *vit.Model, b *forward.Batch, params []int) [][][]float32 {
	clearGrads(m)
	if _, err := m.Backward(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	var along, random [][]float32
	g := noise.Rand(99, noise.Test, uint32(params[0]))
	for _, i := range params {
		along = append(along, append([]float32(nil), m.Params()[i].Grad...))
		r := make([]float32, len(m.Params()[i].Data))
		for j := range r {
			r[j] = float32(g.Normal())
		}
		random = append(random, r)
	}
	out := [][][]float32{along, random}
	for _, u := range out {
		var sq float64
		for _, v := range u {
			for _, x := range v {
				sq += float64(x) * float64(x)
			}
		}
		for _, v := range u {
			for j := range v {
				v[j] /= float32(math.Sqrt(sq) + 1e-30)
			}
		}
	}
	return out
}

// project is ⟨gradient, u⟩ over the parameters.
func project(m query.Model, params []int, u [][]float32) float64 {
	var s float64
	for k, i := range params {
		for j, g := range m.Params()[i].Grad {
			s += float64(g) * float64(u[k][j])
		}
	}
	return s
}

type sample struct{ n, sum, sq float64 }

func (s *sample) add(v float64) { s.n++; s.sum += v; s.sq += v * v }

// z is the distance of the mean from want, in standard errors.
func (s *sample) z(want float64) float64 {
	mean := s.sum / s.n
	se := math.Sqrt(max(0, s.sq/s.n-mean*mean) / (s.n - 1))
	return (mean - want) / (se + 1e-12)
}

// draws is how many steps a test averages, each with its own noise.
func draws() int {
	if testing.Short() {
		return 150
	}
	return 600
}

// limit is the tolerance in standard errors. Some 200 comparisons are made, and
// a true mean strays beyond 4.5 in one of 150,000.
const limit = 4.5

// uneven allocations, in queries: the first image gets nine times the least.
var uneven = []int{18, 2, 6, 2}

// newAsker makes an estimator that asks queries.
func newAsker(name string, m query.Model, o Options) (Asker, error) {
	if o.Own == nil {
		o.Own = Plain()
	}
	e, err := New(name, m, o)
	a, _ := e.(Asker)
	return a, err
}

// estimates projects the estimates of many steps onto each direction.
func estimates(t *testing.T, m *vit.Model, e Asker, b *forward.Batch, counts, params []int, us [][][]float32,
	spoil func(*forward.Step, []forward.Record)) []sample {
	t.Helper()
	return drawn(t, m, e, b, counts, params, us, spoil, nil)
}

// drawn is estimates with counts and chances of every step's own, where draw is not
// nil.
func drawn(t *testing.T, m *vit.Model, e Asker, b *forward.Batch, counts, params []int, us [][][]float32,
	spoil func(*forward.Step, []forward.Record), draw func(k int) ([]int, []float32)) []sample {
	t.Helper()
	out := make([]sample, len(us))
	for k := 0; k < draws(); k++ {
		counts, chance := counts, []float32(nil)
		if draw != nil {
			counts, chance = draw(k)
		}
		estimate(t, m, e, b, uint32(k), counts, chance, spoil)
		for i, u := range us {
			out[i].add(project(m, params, u))
		}
	}
	return out
}

// estimate makes the gradient of one step, of queries whose answers spoil may change, and
// lists the parameters that have one.
func estimate(t *testing.T, m *vit.Model, e Asker, b *forward.Batch, number uint32, counts []int, chance []float32,
	spoil func(*forward.Step, []forward.Record)) (*forward.Step, *forward.Result, []int) {
	t.Helper()
	s, err := Prepare(t.Context(), m, e, number, b)
	if err != nil {
		t.Fatal(err)
	}
	s.Counts, s.Chance = counts, chance
	r, err := e.Ask(t.Context(), m, &s.Step)
	if err != nil {
		t.Fatal(err)
	}
	if spoil != nil {
		spoil(&s.Step, r.Records)
	}
	clearGrads(m)
	params, err := Apply(t.Context(), m, e, s, r.Records)
	if err != nil {
		t.Fatal(err)
	}
	return &s.Step, r, params
}

// TestActivationUnbiased: at every kind of site and for an uneven allocation,
// the mean of many estimates agrees with central finite differences of the
// loss, within 4.5 standard errors. σ is small enough that the smoothed
// gradient is the gradient (its O(σ²) term is below a tenth of an error).
func TestActivationUnbiased(t *testing.T) {
	for _, c := range []struct {
		arch vit.Architecture
		mask bool
	}{{tinyArch, true}, {tinyArch, false}, {vit.CLIPVision{Arch: tinyArch, Projected: 10}, true},
		{vit.DINOv2(gatedArch, 2, true), true}, {vit.SigLIP(tinyArch, vit.PoolAttention), true},
		{vit.DeiT(tinyArch, true), true}} {
		mask := c.mask
		m, b, src := network(t, c.arch, mask)
		for i, site := range m.Sites() {
			if site.Kind == vit.Residual {
				continue // no map: TestLocalUnbiased
			}
			if !mask && site.Block != 1 {
				continue // the mask matters in the last block alone
			}
			if _, plain := c.arch.(vit.Arch); !plain && site.Block == 0 && site.Kind != vit.MLPIn {
				continue // a family's first block has what its last one has
			}
			params := site.Params()
			us := directions(t, m, b, params)
			for _, antithetic := range []bool{true, false} {
				e, err := newAsker("activation", m, Options{Antithetic: antithetic, Sigma: 0.01, Sites: []int{i},
					Noise: src})
				if err != nil {
					t.Fatal(err)
				}
				for k, s := range estimates(t, m, e, b, uneven, params, us, nil) {
					want := slope(t, m, b, params, us[k])
					if z := s.z(want); math.Abs(z) > limit || s.sq == 0 {
						t.Errorf("%T, mask %v, antithetic %v, %s, direction %d: mean %.5g, finite difference %.5g, %.1f standard errors apart",
							c.arch, mask, antithetic, site.Name, k, s.sum/s.n, want, z)
					}
				}
			}
		}
	}
}

// TestBiasWithoutWeight: the same test fails when the 1/P_i weight is left out,
// as in the released code, where extra queries count double.
func TestBiasWithoutWeight(t *testing.T) {
	m, b, src := tiny(t, true)
	total := 0
	for _, n := range uneven {
		total += n
	}
	found := 0
	for _, site := range []int{1, 3, 4, 6, 12, 13} {
		s := m.Sites()[site]
		params := []int{s.Weight, s.Bias}
		us := directions(t, m, b, params)
		e, err := newAsker("activation", m, Options{Antithetic: true, Sigma: 0.01, Sites: []int{site}, Noise: src})
		if err != nil {
			t.Fatal(err)
		}
		spoil := func(st *forward.Step, r []forward.Record) { // c·P_i/P̄: what repeating an image without a weight does
			j := 0
			for _, n := range st.Counts {
				for p := 0; p < n/2; p++ {
					r[0].Coefs[j] *= float32(n*len(st.Counts)) / float32(total)
					j++
				}
			}
		}
		for k, smp := range estimates(t, m, e, b, uneven, params, us, spoil) {
			if math.Abs(smp.z(slope(t, m, b, params, us[k]))) > limit {
				found++
			}
		}
	}
	if found < 3 {
		t.Errorf("leaving out 1/P_i was noticed in %d of 12 comparisons", found)
	}
}

// TestSchedulesUnbiased: joint, weight (all at once and tensor by tensor) and
// parameters perturbed directly agree with finite differences too.
func TestSchedulesUnbiased(t *testing.T) {
	for _, mask := range []bool{true, false} {
		m, b, src := tiny(t, mask)
		var all []int
		for i := range m.Params() {
			all = append(all, i)
		}
		var sites []int
		for i, s := range m.Sites() {
			if s.Kind != vit.Residual {
				sites = append(sites, i)
			}
		}
		for _, c := range []struct {
			name string
			o    Options
		}{
			{"activation", Options{Schedule: "joint", Sites: sites, Antithetic: true}},
			{"activation", Options{Schedule: "joint", Sites: sites[6:], Antithetic: false}},
			{"weight", Options{Schedule: "all", Params: all, Antithetic: true}},
			{"weight", Options{Schedule: "all", Params: all, Antithetic: false}},
			{"weight", Options{Schedule: "tensor", Params: []int{0, 1, 5, 12}, Antithetic: true}},
		} {
			if !mask && c.name == "weight" {
				continue
			}
			c.o.Sigma, c.o.Noise = 0.005, src
			if c.name == "weight" {
				c.o.Sigma = 0.001
			}
			e, err := newAsker(c.name, m, c.o)
			if err != nil {
				t.Fatal(err)
			}
			var params []int
			for _, p := range e.Plan(0) {
				params = append(params, p.Params...)
				for _, s := range p.Sites {
					params = append(params, m.Sites()[s].Weight, m.Sites()[s].Bias)
				}
			}
			us := directions(t, m, b, params)
			for k, s := range estimates(t, m, e, b, uneven, params, us, nil) {
				want := slope(t, m, b, params, us[k])
				if z := s.z(want); math.Abs(z) > limit || s.sq == 0 {
					t.Errorf("%s, direction %d: mean %.5g, finite difference %.5g, %.1f standard errors apart",
						fmt.Sprint(c.name, c.o.Schedule, mask), k, s.sum/s.n, want, z)
				}
			}
		}
	}
}
