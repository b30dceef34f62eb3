package cuda

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/vit"
)

// TestJoinedMaps: the maps of an attention as one product give the logits of single
// products, bit for bit, in fewer of them; an evaluation, whose residuals stand in bf16,
// is as near to the processor's as one whose residuals are floats.
func TestJoinedMaps(t *testing.T) {
	broad := eights
	broad.Hidden, broad.Heads = 72, 3 // rows of bf16 that are no multiple of the alignment
	sizes := map[string]vit.Architecture{"eights": eights, "broad": broad, "without biases": func() vit.Arch {
		a := eights
		a.NoQKVBias = true
		return a
	}()}
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		t.Run(name, func(t *testing.T) {
			var logits [2][]float32
			var off [2]float64
			var products [2]int
			for i, plain := range []bool{true, false} {
				t.Run(fmt.Sprint("plain ", plain), func(t *testing.T) {
					w := lowTwinsOf(t, sizes[name], 3, Options{Precision: BF16, Plain: plain})
					cpu, gpu := w.clean(nil)
					logits[i] = gpu.Logits
					b := w.gpu.b.dev.blas
					call, matmul := b.call, b.lt.matmul
					b.call = func(fn uintptr, args ...uintptr) uintptr {
						if fn == matmul {
							products[i]++
						}
						return call(fn, args...)
					}
					e, err := w.gpu.Evaluate(w.ctx, w.b)
					w.ok(err)
					off[i] = relative(wide(e.Logits), wide(cpu.Logits))
				})
			}
			if logits[0] == nil || logits[1] == nil {
				return
			}
			if w := logits; !slices.Equal(w[0], w[1]) && os.Getenv("FLOPS_TEST_DEVICE") == "" {
				t.Errorf("joined maps give other logits: %v, %v", w[0], w[1])
			}
			t.Logf("evaluations off by %.4f with residuals in floats, %.4f in bf16; %v products", off[0], off[1], products)
			if !(off[1] < 0.02) || products[1] != products[0]-3 { // of two attentions: two of the first, one of the last
				t.Errorf("off by %.4f and %.4f, %v products", off[0], off[1], products)
			}
		})
	}
}

// TestHalfFamilies evaluates every family in bf16, beside the processor.
func TestHalfFamilies(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(families)) {
		t.Run(name, func(t *testing.T) {
			w := lowTwins(t, families[name], 2, BF16, 0)
			cpu, _ := w.clean(nil)
			e, err := w.gpu.Evaluate(w.ctx, w.b)
			w.ok(err)
			if off := relative(wide(e.Logits), wide(cpu.Logits)); !(off < 0.03) {
				t.Errorf("logits are off by %.4f", off)
			}
		})
	}
}

// TestFusedGELU: with GELU by tanh the library makes the activations, and the logits are
// as near to the processor's.
func TestFusedGELU(t *testing.T) {
	w := lowTwinsOf(t, eights, 3, Options{Precision: BF16, Tanh: true})
	cpu, _ := w.clean(nil)
	c := clock(w.gpu)
	e, err := w.gpu.Evaluate(w.ctx, w.b)
	w.ok(err)
	if off := relative(wide(e.Logits), wide(cpu.Logits)); !(off < 0.02) || c.calls["activation_bf16"] != 0 {
		t.Errorf("off by %.4f, with %d passes of the activation function", off, c.calls["activation_bf16"])
	}
}

// TestPrecisionIsTold: what a family has no kernel for in bf16 is named.
func TestPrecisionIsTold(t *testing.T) {
	for name, want := range map[string]string{"eights": "10 of 14 maps, 1 of 2 attentions, other maps as sums of three; " +
		"float32: residuals, norms, losses, attention after noise",
		"relative": "attention with a bias on its scores", "turned": "rotated positions", "mixed": "scales of branches"} {
		t.Run(name, func(t *testing.T) {
			a := families[name]
			if name == "eights" {
				a = eights
			}
			w := lowTwins(t, a, 1, BF16, 0)
			var sites []int
			if name == "eights" {
				for i, s := range w.gpu.Sites() {
					if s.Block == 1 && s.Kind == vit.Query {
						sites = append(sites, i)
					}
				}
			}
			line, err := w.gpu.Precision(sites)
			w.ok(err)
			if !strings.Contains(line, want) {
				t.Errorf("%s: %q does not say %q", name, line, want)
			}
			if got := w.gpu.LeastSigma(); got != 1e-3 {
				t.Errorf("bf16 sees noise of weights from %v", got)
			}
		})
	}
	t.Run("blocks", func(t *testing.T) { // the noise of a block's output comes after its last map
		w := lowTwins(t, eights, 1, BF16, 0)
		sites := residuals(w.gpu.Sites())
		line, err := w.gpu.Precision(sites)
		w.ok(err)
		if want := "7 of 14 maps, 1 of 2 attentions"; !strings.Contains(line, want) {
			t.Errorf("%q does not say %q", line, want)
		}
		said := w.gpu.b.noisy(sites)
		if w.clean(sites); !maps.Equal(said, w.gpu.b.sites) {
			t.Errorf("noise is said to be at %v, and is at %v", said, w.gpu.b.sites)
		}
	})
	w := newTwins(t, tiny, 1, true, Options{})
	if line, err := w.gpu.Precision(nil); line != "" || err != nil || w.gpu.LeastSigma() != 0 {
		t.Errorf("in float32: %q, %v, %v", line, err, w.gpu.LeastSigma())
	}
}
