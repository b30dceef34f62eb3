package lr

import (
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	span "github.com/flops-vit/flops/internal/directions"
	"github.com/flops-vit/flops/internal/lora"
	"github.com/flops-vit/flops/internal/principal"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

const coreRank = 3

// cored is a network whose maps' noise lies in coreRank directions of their outputs, and
// the cores beside the maps, by the site; those of a later phase of a wave lie elsewhere.
func cored(t testing.TB, mask bool) (*vit.Model, *forward.Batch, noise.Source, map[int]lora.Directions) {
	t.Helper()
	by := map[int]lora.Directions{}
	m, b, src := shaped(t, tinyArch, mask, func(n *vit.Net, src noise.Source) noise.Source {
		spans := map[int]span.Span{}
		for i, s := range n.Sites() {
			if s.Weight < 0 || s.Block < 0 {
				continue
			}
			by[i] = lora.Directions{Left: some(s.Out, i), Right: some(s.In, i+50)}
			spans[i] = span.Span{Width: s.Out, Rows: by[i].Left}
			n.Span(i, coreRank)
		}
		return span.Within(src, spans)
	})
	return m, b, src, by
}

// some are coreRank orthonormal rows.
func some(n, phase int) []float32 {
	sq := make([]float32, n*n)
	for _, at := range [][]float32{testkit.Fill(n, float64(phase)), testkit.Fill(n, float64(phase)+0.4),
		testkit.Fill(n, float64(phase)+1)} {
		for i := range n {
			for j := range n {
				sq[i*n+j] += at[i] * at[j]
			}
		}
	}
	return principal.Directions(sq, n, coreRank)
}

// TestCoresUnbiased: the mean of many estimates by noise in a few directions of a map's
// outputs, carried through to the core between these and directions of its inputs, agrees
// with finite differences by the core, at every kind of map, for pairs and single
// directions, uneven counts and drawn images, all maps at once, and with a prediction that
// is wrong; and does not where the noise lies in other directions than the core.
func TestCoresUnbiased(t *testing.T) {
	m, b, src, by := cored(t, true)
	var missed, compared int
	for _, c := range []struct {
		name       string
		block      int
		antithetic bool
		schedule   string
		surrogate  forward.Surrogate
		draw       func(k int) ([]int, []float32)
	}{
		{"pairs", 0, true, "per_site", nil, nil},
		{"singles, wrongly predicted", 1, false, "per_site", wrong{m: m}, nil},
		{"drawn, wrongly predicted", 1, true, "per_site", wrong{m: m}, someDrawn(2)},
		{"joint", 1, true, "joint", nil, nil},
	} {
		var sites []int
		var weights []*forward.Param
		var of []lora.Directions
		for i, s := range m.Sites() {
			if _, ok := by[i]; ok && s.Block == c.block {
				sites, weights, of = append(sites, i), append(weights, m.Params()[s.Weight]), append(of, by[i])
			}
		}
		set := lora.NewCores(weights, coreRank, of)
		for _, p := range set.Params() {
			copy(p.Data, testkit.Fill(len(p.Data), 0.4))
		}
		merge := func() {
			set.Merge()
			m.Reload()
		}
		merge()
		e, err := forward.Activation(m, forward.Options{Schedule: c.schedule, Antithetic: c.antithetic, Sigma: 0.01,
			Sites: sites, Noise: src, Surrogate: c.surrogate})
		testkit.Must(t, err)
		us := testkit.Fill(coreRank*coreRank, 0.9)
		right := make([]sample, len(sites))
		elsewhere := make([]sample, len(sites))
		for k := range draws() {
			counts, chance := uneven, []float32(nil)
			if c.draw != nil {
				counts, chance = c.draw(k)
			}
			estimate(t, m, asker{e}, b, uint32(k), counts, chance, nil)
			set.Through(weights)
			add := func(to []sample) {
				for f, p := range set.Params() {
					var sum float64
					for j, g := range p.Grad {
						sum += float64(g) * float64(us[j])
					}
					to[f].add(sum)
				}
			}
			add(right)
			for i := range of { // which the set reads
				slices.Reverse(of[i].Left)
			}
			set.Through(weights)
			add(elsewhere)
			for i := range of {
				slices.Reverse(of[i].Left)
			}
		}
		for f, p := range set.Params() {
			want := derivative(p.Data, us, 2e-3, func() float64 {
				merge()
				return meanLoss(t, m, b)
			})
			if z := right[f].z(want); math.Abs(z) > limit || right[f].sq == 0 {
				t.Errorf("%s, %s: mean %.5g, finite difference %.5g, %.1f standard errors apart", c.name, p.Name,
					right[f].sum/right[f].n, want, z)
			}
			if compared++; math.Abs(elsewhere[f].z(want)) > limit {
				missed++
			}
		}
		for _, p := range set.Params() {
			clear(p.Data)
		}
		merge()
	}
	if missed < compared/3 {
		t.Errorf("noise in other directions was noticed in %d of %d comparisons", missed, compared)
	}
}

// TestCoresVariance: of one image with input x and gradient g at the outputs of a map of
// which one row reaches the loss, P pairs of noise in the r directions L give the core
// between L and R an estimate of variance (r+1)‖Lg‖²‖Rx‖²/P, and noise in all directions
// one of (r‖g‖² + ‖Lg‖²)‖Rx‖²/P.
func TestCoresVariance(t *testing.T) {
	m, b, src, by := cored(t, true)
	all, _, plain := network(t, tinyArch, true)
	one := *b
	one.Size, one.Inputs, one.Labels, one.Index = 1, b.Inputs[:3*64], b.Labels[:1], b.Index[:1]
	site := slices.IndexFunc(m.Sites(), func(s forward.Site) bool { return s.Block == 1 && s.Kind == "mlp_out" })
	s, d := m.Sites()[site], by[site]
	clearGrads(m)
	_, err := m.Backward(t.Context(), &one)
	testkit.Must(t, err)
	g := slices.Clone(m.Params()[s.Bias].Grad)
	p, err := m.Clean(t.Context(), &one, []int{site})
	testkit.Must(t, err)
	if p == nil {
		t.Fatal("no pass")
	}
	x, err := m.Inputs(site)
	testkit.Must(t, err)
	x = slices.Clone(x)
	squares := func(rows, v []float32) (sum float64) {
		for k := range coreRank {
			var in float64
			for j, a := range rows[k*len(v):][:len(v)] {
				in += float64(a) * float64(v[j])
			}
			sum += in * in
		}
		return sum
	}
	var g2 float64
	for _, v := range g {
		g2 += float64(v) * float64(v)
	}
	const P = 2
	lg, rx := squares(d.Left, g), squares(d.Right, x)
	for _, c := range []struct {
		name string
		m    *vit.Model
		src  noise.Source
		want float64
	}{{"in few directions", m, src, (coreRank + 1) * lg * rx / P}, {"in all", all, plain, (coreRank*g2 + lg) * rx / P}} {
		w := c.m.Params()[s.Weight]
		set := lora.NewCores([]*forward.Param{w}, coreRank, []lora.Directions{d})
		e, err := newAsker("activation", c.m, Options{Antithetic: true, Sigma: 0.01, Sites: []int{site}, Noise: c.src})
		testkit.Must(t, err)
		var moments testkit.Moments
		for k := range 4000 {
			estimate(t, c.m, e, &one, uint32(k), []int{2 * P}, nil, nil)
			set.Through([]*forward.Param{w})
			moments.Add(set.Params()[0].Grad)
		}
		var got float64
		for i := range coreRank * coreRank {
			_, v, _ := moments.At(i)
			got += v
		}
		if math.Abs(got/c.want-1) > 0.2 { // 4.5 standard errors of a variance of products of normals
			t.Errorf("%s: variance %.4g, want %.4g", c.name, got, c.want)
		}
	}
}
