package cuda

import (
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/vit"
)

// TestGuided: gradients of which a part is predicted, and those by the outputs that are
// known without a query, are the processor's, for every site that has an anchor; what
// the queries leave to learn is too.
func TestGuided(t *testing.T) {
	w := newTwins(t, tiny, 3, true, Options{})
	var sites []int
	for i := range w.cpu.Sites() {
		if _, ok := w.cpu.Anchor(i); ok {
			sites = append(sites, i)
		}
	}
	if len(sites) < 7 {
		t.Fatalf("anchors at %v", sites)
	}
	w.clean(sites)
	down := 0
	if w.host != nil {
		down = w.host.copies["download"]
	}
	whole := w.gpu.b.l.regionBytes
	for n := range 2 * len(sites) {
		site, used := sites[n/2], n%2 == 0
		at, _ := w.cpu.Anchor(site)
		if w.gpu.b.l.regionBytes = whole; !used { // an image at a time
			in := w.gpu.b.net.SiteInput(site, true)
			w.gpu.b.l.regionBytes = guidedBytes(int64(in.Rows*w.cpu.Sites()[site].Out), int64(at.Width), 2, 3)
		}
		guess := func() *forward.Guess {
			g := &forward.Guess{Site: site, Used: used, At: random(3*at.Width, 5), Coefs: []float32{0.5, -1, 2, 0.25},
				Weights: []float32{0.2, 0, 0.7},
				Queries: []forward.Query{{Image: 0}, {Image: 2}, {Image: 2, Pair: 1}, {Image: 2, Pair: 2}}}
			return g
		}
		p := &forward.Perturbation{Kind: forward.Activations, Step: 3, Sites: []int{site}, Sigma: []float32{0.01}}
		one, two := guess(), guess()
		w.ok(w.cpuPass.(forward.Guided).AccumulateGuided(w.ctx, p, one))
		w.ok(w.gpuPass.(forward.Guided).AccumulateGuided(w.ctx, p, two))
		w.grads(w.cpu.Sites()[site].Name, 1e-4)
		for name, v := range map[string][2][]float32{"left": {one.Left, two.Left}, "pushed": {one.Pushed, two.Pushed},
			"spread": {one.Spread, two.Spread}} {
			if off := farthest(v[0], v[1]); off > 1e-4 {
				t.Errorf("%s: what is %s differs by %g", w.cpu.Sites()[site].Name, name, off)
			}
		}
	}
	if w.host != nil { // what is left, what was pushed and its variance, the sums: never an activation
		if n, most := w.host.copies["download"]-down, 14*len(sites); n > most {
			t.Errorf("%d downloads for %d predictions", n, 2*len(sites))
		}
	}
	w.gpu.b.l.regionBytes = whole
	last := sites[len(sites)-1]
	if s := w.cpu.Sites()[last]; s.Kind != vit.Classifier {
		t.Fatalf("%s comes last", s.Name)
	}
	w.ok(w.cpuPass.(forward.Exact).AccumulateOutputs(w.ctx, last))
	w.ok(w.gpuPass.(forward.Exact).AccumulateOutputs(w.ctx, last))
	w.grads("outputs", 1e-4)
}

// farthest is the largest difference of two slices, 1 where their lengths differ.
func farthest(a, b []float32) (off float32) {
	if len(a) != len(b) {
		return 1
	}
	for i := range a {
		off = max(off, a[i]-b[i], b[i]-a[i])
	}
	return off
}
