package vit

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/noise"
)

// halfArch is a ViT whose sums have several steps of k, with an edge.
var halfArch = Arch{Image: 16, Patch: 8, Chans: 3, Hidden: 72, Layers: 3, Heads: 2, MLP: 150, Classes: 5, Eps: 1e-6}

// halfModel is a model in bf16 with a batch.
func halfModel(t testing.TB, a Architecture, images, threads int) (*Model, *forward.Batch) {
	t.Helper()
	w := drawn(t, a, 3, 1)
	w.trainAll(nil)
	n := NewNet(w)
	b := &forward.Batch{Size: images, Inputs: make([]float32, images*n.Pixels()), Labels: make([]int32, images),
		Index: make([]int32, images)}
	g := noise.Rand(1, noise.Test, 1)
	for i := range b.Inputs {
		b.Inputs[i] = float32(g.Normal())
	}
	for i := range b.Labels {
		b.Labels[i], b.Index[i] = int32(i%5), int32(i)
	}
	o := Options{Threads: threads, Loss: objective.CE{}, Noise: noise.Gaussian(11), Mask: true, Half: true}
	return NewModel(n, o), b
}

// mapSites are the sites with a map.
func mapSites(m *Model) (sites []int) {
	for i, s := range m.Sites() {
		if s.Kind != Residual {
			sites = append(sites, i)
		}
	}
	return sites
}

// many are so many queries of an image that differences pay.
const many = 100

func offBy(got, want []float64) float64 {
	var e, r float64
	for i := range want {
		e += (got[i] - want[i]) * (got[i] - want[i])
		r += want[i] * want[i]
	}
	return math.Sqrt(e / r)
}

// TestHalfQueriesSeeTheirNoise compares the coefficients c = (ℓ₊ − ℓ₋)/2σ of queries,
// and (ℓ₊ − ℓ)/σ, at every site with central differences in float64, where queries
// begin at all blocks (differences in bf16) and where they begin in the last one (bf16
// below, float32 from there on). Rounded weights and clean values are another point of
// the network, about 1% away in c at every scale; at 1e-4 the cancellation of float32
// losses comes to it, as in float32. One-sided coefficients are off by the curvature
// too, about σ/2 of them. Values in bf16 drown: the same network in float64 with the
// rounding of what its maps read alone.
func TestHalfQueriesSeeTheirNoise(t *testing.T) {
	a := halfArch
	a.Layers = 2
	m, b := halfModel(t, a, 1, 2)
	ref := newWide(m.net)
	for _, form := range []string{"differences", "prefix"} {
		sites := mapSites(m)
		if form == "prefix" {
			sites = slices.DeleteFunc(sites, func(i int) bool { return m.net.sites[i].Block != a.Layers-1 })
		}
		if h := m.Halve(sites, nil, many); h.Differences != (form == "differences") || h.Maps == 0 {
			t.Fatalf("%s: %+v", form, h)
		}
		for _, c := range []struct{ sigma, bound, oneSided, worse float64 }{
			{0.1, 0.01, 0.15, 0.005}, {0.01, 0.01, 0.02, 0.05}, {1e-3, 0.01, 0.01, 0.5}, {1e-4, 0.02, 0.02, 2}} {
			var pair, single, want, values []float64
			clean, err := m.Clean(context.Background(), b, sites)
			if err != nil {
				t.Fatal(err)
			}
			q := []forward.Query{{Sign: 1}, {Sign: -1}}
			loss := make([]float32, len(q))
			for _, s := range sites {
				p := &forward.Perturbation{Step: 3, Sites: []int{s}, Sigma: []float32{float32(c.sigma)}}
				if err := clean.Losses(context.Background(), p, q, loss); err != nil {
					t.Fatal(err)
				}
				diff := func(rounds bool) float64 {
					ref.rounds = rounds
					up := ref.loss(b.Inputs, int(b.Labels[0]), s, ref.direction(m.noise, s, 3, q[0], c.sigma))
					down := ref.loss(b.Inputs, int(b.Labels[0]), s, ref.direction(m.noise, s, 3, q[0], -c.sigma))
					return (up - down) / (2 * c.sigma)
				}
				pair = append(pair, float64(loss[0]-loss[1])/(2*c.sigma))
				single = append(single, float64(loss[0]-clean.Clean().Losses[0])/c.sigma)
				want, values = append(want, diff(false)), append(values, diff(true))
			}
			t.Logf("%s, σ %g: pairs off by %.4f, one-sided by %.4f, values in bf16 by %.3f", form, c.sigma,
				offBy(pair, want), offBy(single, want), offBy(values, want))
			if e := offBy(pair, want); e > c.bound {
				t.Errorf("σ %g: c of pairs is off by %.4f of it", c.sigma, e)
			}
			if e := offBy(single, want); e > c.oneSided {
				t.Errorf("σ %g: c of single directions is off by %.4f of it", c.sigma, e)
			}
			if e := offBy(values, want); e < c.worse {
				t.Errorf("σ %g: values in bf16 are off by %.3f only", c.sigma, e)
			}
		}
	}
}

// TestHalfWithoutNoise: a query whose noise is nothing has the bits of its image's
// clean loss, and every query has the same ones for any number of workers and in any
// company, on every kernel.
func TestHalfWithoutNoise(t *testing.T) {
	ctx := context.Background()
	var q []forward.Query
	for i := range 5 {
		for p := range 4 {
			x := forward.Query{Image: int32(i), Pair: int32(p), Sign: 1}
			q = append(q, x)
			x.Sign = -1
			q = append(q, x)
		}
	}
	var first []float32
	for _, threads := range []int{1, 3} {
		m, b := halfModel(t, halfArch, 5, threads)
		sites := mapSites(m)
		m.Halve(sites, nil, many)
		clean, err := m.Clean(ctx, b, sites)
		if err != nil {
			t.Fatal(err)
		}
		loss := make([]float32, len(q))
		ask := func(sigma float32, s ...int) {
			t.Helper()
			p := &forward.Perturbation{Step: 1, Sites: s}
			for range s {
				p.Sigma = append(p.Sigma, sigma)
			}
			if err := clean.Losses(ctx, p, q, loss); err != nil {
				t.Fatal(err)
			}
		}
		var all []float32
		for _, s := range sites {
			ask(0, s)
			for i, v := range loss {
				if want := clean.Clean().Losses[q[i].Image]; v != want {
					t.Fatalf("%s: the loss is %g without noise and %g clean", m.net.sites[s].Name, v, want)
				}
			}
			ask(0.01, s)
			all = append(all, loss...)
			one := make([]float32, 1)
			p := &forward.Perturbation{Step: 1, Sites: []int{s}, Sigma: []float32{0.01}}
			if err := clean.Losses(ctx, p, q[9:10], one); err != nil {
				t.Fatal(err)
			}
			if one[0] != loss[9] {
				t.Fatalf("%s: a query's loss is %g alone and %g among others", m.net.sites[s].Name, one[0], loss[9])
			}
		}
		ask(0.01, sites...)
		if all = append(all, loss...); first == nil {
			first = all
		} else if !slices.Equal(first, all) {
			t.Error("three workers have other losses than one")
		}
	}
}

// TestHalvedMaps: which maps multiply in bf16 follows from what is trained.
func TestHalvedMaps(t *testing.T) {
	m, _ := halfModel(t, halfArch, 1, 1)
	if h := m.Rounded(); h.Maps != h.Of || h.Of != 1+6*halfArch.Layers {
		t.Errorf("a model that is evaluated alone rounds %d of %d maps", h.Maps, h.Of)
	}
	site := func(kind string, block int) int { return m.net.bySite[siteKey{kind, block}] }
	weight := func(kind string, block int) int { return m.net.sites[site(kind, block)].Weight }
	for _, c := range []struct {
		name          string
		sites, params []int
		maps          int
		differences   bool
	}{
		{"last block", []int{site(Query, 2), site(MLPOut, 2)}, nil, 1 + 2*6 + 2, false}, // its keys and values too
		{"last MLP", []int{site(MLPIn, 2)}, nil, 1 + 2*6 + 4, false},
		{"classifier", []int{site(Classifier, -1)}, nil, 1 + 3*6, false},
		{"second block", []int{site(Query, 1)}, nil, 1 + 3*6, true},
		{"patches", []int{site(PatchEmbed, -1)}, nil, 1 + 3*6, true},
		{"a block's output", []int{m.net.layer(1)}, nil, 1 + 3*6, true},
		{"weights of the second block", nil, []int{weight(Query, 1)}, 1 + 6 + 2, false},
		{"weights of the first map", nil, []int{weight(PatchEmbed, -1)}, 0, false},
		{"sites with a parameter", []int{site(Query, 2)}, []int{weight(Key, 1)}, 1 + 6 + 2, false},
	} {
		h := m.Halve(c.sites, c.params, many)
		if h.Maps != c.maps || h.Differences != c.differences || h.Few {
			t.Errorf("%s: %+v, want %d maps, differences %t", c.name, h, c.maps, c.differences)
		}
		if could := m.CouldHalve(c.sites, c.params, many); could != h {
			t.Errorf("%s: %+v is, and %+v could be", c.name, h, could)
		}
		if !c.differences {
			continue
		}
		for _, site := range c.sites { // of one query an image everything that is perturbed stays float32
			if h := m.Halve(c.sites, nil, 1); h.Differences || !h.Few || m.net.linears[m.net.out.mapOf(site)].half {
				t.Errorf("%s, one query: %+v", c.name, h)
			}
		}
	}
}

// TestDifferencesPay: by differences an image's slot without noise is one more forward, so
// that one query of an image is cheaper in float32, and many are not.
func TestDifferencesPay(t *testing.T) {
	for _, c := range []struct {
		name string
		a    Arch
		from float64 // queries from which they pay
	}{
		{"a small ViT", Arch{Image: 32, Patch: 4, Chans: 3, Hidden: 128, Layers: 6, Heads: 4, MLP: 512, Classes: 5}, 3},
		{"ViT-B/16", Arch{Image: 32, Patch: 16, Chans: 3, Hidden: 768, Layers: 2, Heads: 12, MLP: 3072, Classes: 5}, 2},
	} {
		w, err := NewWeights(c.a)
		if err != nil {
			t.Fatal(err)
		}
		n := NewNet(w)
		for _, q := range []float64{0.25, 1, 2, 3, 4, 8, 100} {
			if got := n.differencesPay(q); got != (q >= c.from) {
				t.Errorf("%s: differences of %g queries pay: %t", c.name, q, got)
			}
		}
	}
}

// TestHalfDrownsNothing: whatever is perturbed or differentiated, in every family, no
// value that noise or a changed weight reaches is rounded: its map is float32, or
// multiplies differences.
func TestHalfDrownsNothing(t *testing.T) {
	a := Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 96, Layers: 3, Heads: 2, MLP: 128, Classes: 3, Eps: 1e-6}
	archs := map[string]Architecture{"ViT": a, "DINOv2": DINOv2(a, 1, true), "SigLIP": SigLIP(a, PoolAttention),
		"BEiT": BEiT(a, true), "CLIP": CLIPVision{Arch: a, Projected: 5}}
	for name, tower := range textTowers() {
		archs["text of "+name] = tower
	}
	for name, arch := range archs {
		w, err := NewWeights(arch)
		if err != nil {
			t.Fatal(err)
		}
		m := NewModel(NewNet(w), Options{Threads: 1, Loss: objective.CE{}, Mask: true, Half: true})
		n := m.net
		check := func(sites, params []int, queries float64) {
			t.Helper()
			h := m.Halve(sites, params, queries)
			after := n.out.depends(func(s *outlined) bool {
				return slices.ContainsFunc(s.uses, func(p int) bool { return slices.Contains(params, p) })
			})
			if len(sites) > 0 {
				for i, is := range n.out.noisy(sites...) {
					after[i] = after[i] || is
				}
			}
			for i := range n.out.steps {
				s := &n.out.steps[i]
				if s.dead || s.site < 0 || !n.linears[s.site].half {
					continue
				}
				reached := slices.ContainsFunc(s.reads, func(j int) bool { return after[j] }) ||
					slices.ContainsFunc(s.uses, func(p int) bool { return slices.Contains(params, p) })
				if reached && (!h.Differences || n.linears[s.site].values || len(params) > 0) {
					t.Errorf("%s, sites %v, parameters %v, %g queries: the values of %s are rounded", name, sites, params,
						queries, n.sites[s.site].Name)
				}
			}
		}
		var all, every []int
		for i := range n.sites {
			if len(n.sites[i].Direct) == 0 {
				all = append(all, i)
			}
		}
		for i := range n.params {
			every = append(every, i)
		}
		for _, queries := range []float64{1, 2, many} {
			check(all, nil, queries)
			check(nil, every, queries)
			for _, s := range all {
				check([]int{s}, nil, queries)
				check([]int{s}, every[len(every)/2:], queries)
			}
			for _, p := range every {
				check(nil, []int{p}, queries)
			}
		}
	}
}

// TestHalfKernels: a run of a pass has the same bits on every kernel of bf16.
func TestHalfKernels(t *testing.T) {
	before := kernel.HalfKernels()[0]
	defer func() {
		if err := kernel.SelectHalf(before); err != nil {
			t.Fatal(err)
		}
	}()
	var first []float32
	for _, name := range kernel.HalfKernels() {
		if err := kernel.SelectHalf(name); err != nil {
			t.Fatal(err)
		}
		m, b := halfModel(t, halfArch, 2, 1)
		c, err := m.Evaluate(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = c.Logits
		} else if !slices.Equal(first, c.Logits) {
			t.Errorf("%s has other logits than %s", name, before)
		}
	}
}
