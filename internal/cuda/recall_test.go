package cuda

import (
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/vit"
)

// memory keeps what a model made of the images of one batch.
type memory map[int][]float32

func (m memory) Recall(i int) ([]float32, error) { return m[i], nil }

func (m memory) Keep(i int, made []float32) error { m[i] = slices.Clone(made); return nil }

func (m memory) Fill([]int) error { return nil }

// TestRecall: a device that begins with what is kept of the lower part, of all
// images or of some, answers as one that begins with the images.
func TestRecall(t *testing.T) {
	each(t, recallCase, tiny, clip)
}

func recallCase(t *testing.T, a vit.Architecture) {
	w := newTwins(t, a, 5, true, Options{Slots: 3})
	for i, p := range w.gpu.Params() { // the last block and what follows are trained
		if p.Block != 1 && p.Name != "classifier.weight" {
			p.Grad, w.cpu.Params()[i].Grad = nil, nil
		}
	}
	var sites []int
	for i, s := range w.gpu.Sites() {
		if s.Block == 1 && s.Kind != vit.Residual {
			sites = append(sites, i)
		}
	}
	q, terms := queries(w.b.Size, 2)
	site := &forward.Perturbation{Sites: sites[:1], Sigma: []float32{0.01}}
	answers := func() (out [][]float32) {
		take := func(c *forward.Clean) { out = append(out, c.Losses, c.Logits, c.Features) }
		grads := func() {
			for _, p := range w.gpu.Params() {
				out = append(out, slices.Clone(p.Grad))
				clear(p.Grad)
			}
		}
		c, err := w.gpu.Backward(w.ctx, w.b)
		w.ok(err)
		take(c)
		grads()
		c, err = w.gpu.Evaluate(w.ctx, w.b)
		w.ok(err)
		take(c)
		p, err := w.gpu.Clean(w.ctx, w.b, sites)
		w.ok(err)
		take(p.Clean())
		losses := make([]float32, len(q))
		w.ok(p.Losses(w.ctx, site, q, losses))
		w.ok(p.Accumulate(w.ctx, site, terms))
		out = append(out, losses)
		grads()
		return out
	}
	want := answers()
	kept := memory{}
	w.b.Memory = kept
	for _, forgotten := range [][]int{nil, {}, {1, 4}, {0, 2, 3}} {
		for _, i := range forgotten {
			delete(kept, i)
		}
		for i, got := range answers() {
			if !slices.Equal(got, want[i]) {
				t.Fatalf("without %v: numbers %d are %v, and %v of the images", forgotten, i, got, want[i])
			}
		}
		if len(kept) != w.b.Size {
			t.Fatalf("%d images are kept", len(kept))
		}
	}
}
