package forward

import (
	"context"
	"math"
	"testing"

	"github.com/flops-vit/flops/noise"
)

// toySite is one linear map of a toy: z = x Wᵀ (+ b) of the live rows of every image, with a loss
// of its own, curve·½‖z − target‖² + ⟨slope, z⟩.
type toySite struct {
	rows, in, out int
	bias          bool
	x             [][]float64 // per image: rows×in
	slope         [][]float64 // per image: rows×out
	target        [][]float64 // per image: rows×out
	curve         float64
}

// toy is a model of maps side by side whose losses add up: small enough that
// every expectation of an estimator is a formula of a line.
type toy struct {
	maps    []toySite
	params  []*Param
	sites   []Site
	noise   noise.Source
	images  int
	forward int64 // FLOPs of a forward
	t       testing.TB
}

// resumable is a toy whose queries of the weights cost less than a forward.
type resumable struct {
	*toy
	cost int64
}

func (r resumable) WeightFLOPs() int64 { return r.cost }

// newToy draws the maps' inputs, slopes and weights; flops is what a query of each
// site costs.
func newToy(t testing.TB, images int, maps []toySite, flops ...int64) *toy {
	t.Helper()
	src := noise.Gaussian(23)
	m := &toy{maps: maps, noise: src, images: images, forward: 7777, t: t}
	g := noise.Rand(8, noise.Test)
	param := func(shape ...int) int {
		n := 1
		for _, d := range shape {
			n *= d
		}
		p := &Param{Shape: shape, Data: make([]float32, n), Grad: make([]float32, n)}
		for i, v := range normals(g, n, 1) {
			p.Data[i] = float32(v)
		}
		m.params = append(m.params, p)
		return len(m.params) - 1
	}
	for i := range maps {
		s := &maps[i]
		site := Site{Name: "map", Rows: s.rows + 2, Live: s.rows, // two rows reach no loss, and have no noise
			In: s.in, Out: s.out, Weight: param(s.out, s.in), Bias: -1}
		if s.bias {
			site.Bias = param(s.out)
		}
		if i < len(flops) {
			site.FLOPs = flops[i]
		}
		m.sites = append(m.sites, site)
		for k := range images {
			s.x = append(s.x, normals(g, s.rows*s.in, float64(k+1)))
			s.slope = append(s.slope, normals(g, s.rows*s.out, 2/float64(k+1)))
			s.target = append(s.target, normals(g, s.rows*s.out, 1))
		}
	}
	return m
}

func (m *toy) Params() []*Param    { return m.params }
func (m *toy) Sites() []Site       { return m.sites }
func (m *toy) ForwardFLOPs() int64 { return m.forward }

// z is the output of a map for an image.
func (m *toy) z(site, image int) []float64 {
	s, p := m.maps[site], m.sites[site]
	out := make([]float64, s.rows*s.out)
	for r := range s.rows {
		for o := range s.out {
			for k := range s.in {
				out[r*s.out+o] += float64(m.params[p.Weight].Data[o*s.in+k]) * s.x[image][r*s.in+k]
			}
			if p.Bias >= 0 {
				out[r*s.out+o] += float64(m.params[p.Bias].Data[o])
			}
		}
	}
	return out
}

func (s *toySite) loss(z []float64, image int) float64 {
	l := 0.0
	for i, v := range z {
		d := v - s.target[image][i]
		l += s.curve*d*d/2 + s.slope[image][i]*v
	}
	return l
}

// toyPass is a clean pass of a toy, of which any number may be asked.
type toyPass struct {
	*toy
	clean *Clean
}

func (p toyPass) Clean() *Clean { return p.clean }

func (m *toy) Clean(_ context.Context, b *Batch, sites []int) (Pass, error) {
	c := &Clean{Losses: make([]float32, b.Size)}
	for i := range b.Size {
		l := 0.0
		for s := range m.maps {
			l += m.maps[s].loss(m.z(s, i), i)
		}
		c.Losses[i] = float32(l)
	}
	for _, s := range sites {
		sq := make([]float32, b.Size)
		for i := range sq {
			for _, v := range m.maps[s].x[i] {
				sq[i] += float32(v * v)
			}
			if m.sites[s].Bias >= 0 {
				sq[i] += float32(m.maps[s].rows)
			}
		}
		c.InputSq = append(c.InputSq, sq)
	}
	return toyPass{m, c}, nil
}

func (m *toy) eps(c noise.Counter, n int) []float32 {
	e := make([]float32, n)
	m.noise.Fill(e, c, 0)
	return e
}

func (m *toy) Losses(_ context.Context, p *Perturbation, q []Query, out []float32) error {
	for j, x := range q {
		i, l := int(x.Image), 0.0
		keep := map[int][]float32{}
		for _, k := range p.Params {
			w := m.params[k]
			keep[k] = append([]float32(nil), w.Data...)
			for n, e := range m.eps(noise.Counter{Step: p.Step, Site: WeightSite, Image: uint32(k),
				Pair: uint32(x.Pair)}, len(w.Data)) {
				w.Data[n] += float32(x.Sign) * p.Sigma[0] * e
			}
		}
		for s := range m.maps {
			z := m.z(s, i)
			for k, noisy := range p.Sites {
				if noisy == s {
					for n, e := range m.eps(noise.Counter{Step: p.Step, Site: uint32(s), Image: uint32(i),
						Pair: uint32(x.Pair)}, len(z)) {
						z[n] += float64(x.Sign) * float64(p.Sigma[k]) * float64(e)
					}
				}
			}
			l += m.maps[s].loss(z, i)
		}
		for k, v := range keep {
			copy(m.params[k].Data, v)
		}
		out[j] = float32(l)
	}
	return nil
}

func (m *toy) Accumulate(_ context.Context, p *Perturbation, terms []Term) error {
	for _, x := range terms {
		for _, k := range p.Params {
			w := m.params[k]
			for n, e := range m.eps(noise.Counter{Step: p.Step, Site: WeightSite, Image: uint32(k),
				Pair: uint32(x.Pair)}, len(w.Grad)) {
				w.Grad[n] += x.Coef * e
			}
		}
		for k, site := range p.Sites {
			s, at, c := m.maps[site], m.sites[site], x.Coef
			if x.Sign != 0 {
				c *= float32(x.Sign) / p.Sigma[k]
			}
			e := m.eps(noise.Counter{Step: p.Step, Site: uint32(site), Image: uint32(x.Image),
				Pair: uint32(x.Pair)}, s.rows*s.out)
			for r := range s.rows {
				for o := range s.out {
					for n := range s.in {
						m.params[at.Weight].Grad[o*s.in+n] += c * e[r*s.out+o] * float32(s.x[x.Image][r*s.in+n])
					}
					if at.Bias >= 0 {
						m.params[at.Bias].Grad[o] += c * e[r*s.out+o]
					}
				}
			}
		}
	}
	return nil
}

// gradient is the exact gradient of the mean loss by every parameter.
func (m *toy) gradient() [][]float64 {
	out := make([][]float64, len(m.params))
	for i, p := range m.params {
		out[i] = make([]float64, len(p.Data))
	}
	for site, s := range m.maps {
		at := m.sites[site]
		for i := range m.images {
			z := m.z(site, i)
			for r := range s.rows {
				for o := range s.out {
					n := r*s.out + o
					dz := (s.curve*(z[n]-s.target[i][n]) + s.slope[i][n]) / float64(m.images)
					for k := range s.in {
						out[at.Weight][o*s.in+k] += dz * s.x[i][r*s.in+k]
					}
					if at.Bias >= 0 {
						out[at.Bias][o] += dz
					}
				}
			}
		}
	}
	return out
}

// asker makes an estimator by its name.
func asker(name string, m Model, o Options) (*Estimator, error) {
	if name == "weight" {
		return Weight(m, o)
	}
	return Activation(m, o)
}

// step is one step of an estimator on the toy: what it asked, with the gradient in
// the parameters.
func (m *toy) step(e *Estimator, model Model, number int, counts []int) (*Step, *Result) {
	m.t.Helper()
	ctx := context.Background()
	b := &Batch{Size: m.images, Labels: make([]int32, m.images)}
	s, err := Begin(ctx, model, e, uint32(number), b)
	if err != nil {
		m.t.Fatal(err)
	}
	s.Counts = counts
	r, err := e.Ask(ctx, model, s)
	if err != nil {
		m.t.Fatal(err)
	}
	clearGrads(model)
	if err := e.Accumulate(ctx, s, r.Records); err != nil {
		m.t.Fatal(err)
	}
	return s, r
}

// mixed are maps with and without a bias, of a row and of several.
func mixed(curve float64) []toySite {
	return []toySite{{rows: 1, in: 3, out: 2, curve: curve}, {rows: 2, in: 2, out: 3, bias: true, curve: curve},
		{rows: 3, in: 2, out: 2, curve: curve}}
}

// TestToyUnbiased: on maps without a bias and with one, the mean of every
// estimator's gradients is the exact gradient, entry by entry, within 4.5 standard
// errors, and the parameters that it names are those of the maps. The losses are
// quadratic, so that smoothing them leaves the gradient as it is for every σ.
func TestToyUnbiased(t *testing.T) {
	all := []int{0, 1, 2}
	for _, c := range []struct {
		what, name string
		o          Options
		params     []int // that have a gradient
	}{
		{"one map without bias", "activation", Options{Antithetic: true, Sites: []int{0}}, []int{0}},
		{"one-sided", "activation", Options{Sites: []int{2}}, []int{3}},
		{"with a bias", "activation", Options{Antithetic: true, Sites: []int{1}}, []int{1, 2}},
		{"per site", "activation", Options{Antithetic: true, Sites: all}, []int{0, 1, 2, 3}},
		{"joint", "activation", Options{Schedule: "joint", Antithetic: true, Sites: all}, []int{0, 1, 2, 3}},
		{"joint, one-sided", "activation", Options{Schedule: "joint", Sites: all}, []int{0, 1, 2, 3}},
		{"a map and the rest directly", "activation", Options{Antithetic: true, Sites: []int{0}, Params: []int{2, 3}},
			[]int{0, 2, 3}},
		{"random site", "activation", Options{Schedule: "random_site", Antithetic: true, Sites: all}, []int{0, 1,
			2, 3}},
		{"weights", "weight", Options{Antithetic: true, Params: []int{0, 1, 2, 3}}, []int{0, 1, 2, 3}},
		{"weights, one-sided", "weight", Options{Params: []int{0, 3}}, []int{0, 3}},
		{"tensor by tensor", "weight", Options{Schedule: "tensor", Antithetic: true, Params: []int{0, 3}}, []int{0, 3}},
	} {
		t.Run(c.what, func(t *testing.T) {
			m := newToy(t, 3, mixed(0.5))
			c.o.Sigma, c.o.Noise = 0.3, m.noise
			e, err := asker(c.name, m, c.o)
			if err != nil {
				t.Fatal(err)
			}
			sums := make([][]sample, len(m.params))
			for i, p := range m.params {
				sums[i] = make([]sample, len(p.Data))
			}
			for k := range 1500 {
				_, r := m.step(e, m, k, []int{6, 2, 4})
				if k == 0 && c.o.Schedule != "random_site" && !sameSet(Touched(m, r.Records), c.params) {
					t.Fatalf("has gradients of %v, want %v", Touched(m, r.Records), c.params)
				}
				for i, p := range m.params {
					for j, g := range p.Grad {
						sums[i][j].add(float64(g))
					}
				}
			}
			want, share := m.gradient(), 1.0
			if c.o.Schedule == "random_site" {
				share = 1.0 / float64(len(c.o.Sites)) // of the steps that draw a map
			}
			for i := range m.params {
				trained := false
				for _, k := range c.params {
					trained = trained || k == i
				}
				for j := range sums[i] {
					s := &sums[i][j]
					if !trained {
						if s.sq != 0 {
							t.Errorf("parameter %d is not trained and has a gradient", i)
						}
						continue
					}
					if z := s.z(share * want[i][j]); !(math.Abs(z) <= limit) || s.sq == 0 {
						t.Errorf("parameter %d[%d]: mean %.4g, exact %.4g, %.1f standard errors apart", i, j,
							s.sum/s.n, share*want[i][j], z)
					}
				}
			}
		})
	}
}

func sameSet(a, b []int) bool {
	seen := map[int]int{}
	for _, v := range a {
		seen[v]++
	}
	for _, v := range b {
		seen[v]--
	}
	for _, n := range seen {
		if n != 0 {
			return false
		}
	}
	return true
}
