package cuda

import (
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/vit"
)

// TestInputs: what every map of the blocks read in a clean pass is what it read on the
// processor, and noise in a few directions is said not to be made.
func TestInputs(t *testing.T) {
	w := newTwins(t, deeper, 5, true, Options{Slots: 3})
	var sites []int
	for i, s := range w.cpu.Sites() {
		if s.Weight >= 0 && s.Block >= 0 && s.Kind != vit.Residual {
			sites = append(sites, i)
		}
	}
	w.clean(sites)
	for _, i := range sites {
		want, err := w.cpu.Inputs(i)
		testkit.Must(t, err)
		got, err := w.gpu.Inputs(i)
		testkit.Must(t, err)
		w.same(w.cpu.Sites()[i].Name, got, want, 1e-4)
	}
	if !w.cpu.Spans() || w.gpu.Spans() {
		t.Error("the processor alone makes noise in a few directions")
	}
}
