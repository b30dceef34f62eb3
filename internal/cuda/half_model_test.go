package cuda

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/vit"
)

// eights is a network whose every op has a kernel in bf16, and whose attention makes
// its noise itself.
var eights = vit.Arch{Image: 16, Patch: 8, Chans: 3, Hidden: 64, Layers: 2, Heads: 2, MLP: 128, Classes: 8,
	Prompts: 1, Eps: 1e-6}

// lowTwins are twins of which the device computes in a precision below float32.
func lowTwins(t testing.TB, a vit.Architecture, images int, p Precision, slots int) *twins {
	t.Helper()
	return lowTwinsOf(t, a, images, Options{Precision: p, Slots: slots})
}

func lowTwinsOf(t testing.TB, a vit.Architecture, images int, opt Options) *twins {
	t.Helper()
	w := newTwins(t, a, images, true, opt)
	if w.host != nil {
		withBLAS(t, w.gpu.b.dev, opt.Precision)
		w.gpu.b.dev.blas.tanh = opt.Tanh
	} else if !w.gpu.b.dev.halves() {
		t.Skip("cuBLASLt was not found, or the device is older than compute capability 8.0")
	}
	return w
}

// relative is the root mean square of the error over that of the reference.
func relative(got, want []float64) float64 {
	var e, r float64
	for i := range want {
		e += (got[i] - want[i]) * (got[i] - want[i])
		r += want[i] * want[i]
	}
	return math.Sqrt(e / r)
}

// TestQueriesSeeTheirNoise compares the coefficients c = (ℓ₊ − ℓ₋)/2σ of queries, and
// (ℓ₊ − ℓ)/σ with the clean loss as baseline, at all sites, and at the outputs of whole
// blocks alone, below which a clean pass is in bf16, with central differences
// of float64, at scales from 1e-4 to 0.1. Weights rounded to 8 bits and a prefix in
// bf16 are another point of the network, 0.3% away in c; at 1e-4 the cancellation of
// float32 losses is more, as it is in float32 (0.0098 of c). One side is off by the
// curvature too, σ/2 of it. Values in bf16, where the perturbed pass rounds what its
// maps read, drown: for comparison the same network in float64 with these roundings
// alone.
func TestQueriesSeeTheirNoise(t *testing.T) {
	for _, precision := range []Precision{TF32, BF16} {
		t.Run(string(precision), func(t *testing.T) {
			seesNoise(t, precision, func(s []forward.Site) []int { return all(len(s)) })
		})
		t.Run(string(precision)+" of blocks", func(t *testing.T) { seesNoise(t, precision, residuals) })
	}
}

func seesNoise(t *testing.T, precision Precision, of func([]forward.Site) []int) {
	const images, pairs = 1, 2
	w := lowTwins(t, eights, images, precision, 0)
	n, _ := network(t, eights, images, false)
	ref := newWide(n)
	sites := of(w.gpu.Sites())
	_, clean := w.clean(sites)
	var q []forward.Query
	for i := range images {
		for p := range pairs {
			q = append(q, forward.Query{Image: int32(i), Pair: int32(p), Sign: 1}, forward.Query{Image: int32(i),
				Pair: int32(p), Sign: -1})
		}
	}
	for _, c := range []struct {
		sigma, bound, oneSided, worse float64
	}{{0.1, 0.01, 0.1, 0.1}, {1e-2, 0.01, 0.02, 0.5}, {1e-3, 0.01, 0.02, 1}, {1e-4, 0.05, 0.1, 1}} {
		var got, single, want, values []float64
		for _, s := range sites {
			p := &forward.Perturbation{Step: 3, Sites: []int{s}, Sigma: []float32{float32(c.sigma)}}
			loss := make([]float32, len(q))
			w.ok(w.gpuPass.Losses(w.ctx, p, q, loss))
			var g, o, r, v []float64
			for i := 0; i < len(q); i += 2 {
				img := w.b.Inputs[int(q[i].Image)*n.Pixels():]
				label := int(w.b.Labels[q[i].Image])
				diff := func(plain bool) float64 {
					ref.plain = plain
					return (ref.loss(img, label, s, ref.direction(s, 3, q[i], c.sigma)) -
						ref.loss(img, label, s, ref.direction(s, 3, q[i], -c.sigma))) / (2 * c.sigma)
				}
				g = append(g, float64(loss[i]-loss[i+1])/(2*c.sigma))
				o = append(o, float64(loss[i]-clean.Losses[q[i].Image])/c.sigma)
				r, v = append(r, diff(false)), append(v, diff(true))
			}
			got, single, want, values = append(got, g...), append(single, o...), append(want, r...), append(values, v...)
		}
		t.Logf("%s, σ %g: pairs off by %.4f, one-sided by %.4f, values in bf16 by %.3f", precision, c.sigma,
			relative(got, want), relative(single, want), relative(values, want))
		if e := relative(got, want); e > c.bound {
			t.Errorf("σ %g: c of pairs is off by %.4f of it", c.sigma, e)
		}
		if e := relative(single, want); e > c.oneSided {
			t.Errorf("σ %g: c of single directions is off by %.4f of it", c.sigma, e)
		}
		if e := relative(values, want); e < c.worse {
			t.Errorf("σ %g: values in bf16 are off by %.3f only", c.sigma, e)
		}
	}
}

// TestHalfModelIsTheCPUs runs a clean pass, queries of every site and their gradients
// in bf16, beside the CPU's float32.
func TestHalfModelIsTheCPUs(t *testing.T) {
	for name, a := range map[string]vit.Architecture{"eights": eights, "odd": tiny,
		"CLIP's tower": vit.CLIPVision{Arch: eights, Projected: 16}} {
		t.Run(name, func(t *testing.T) {
			w := lowTwins(t, a, 5, BF16, 2)
			sites := mapped(w.cpu.Sites())
			cpu, gpu := w.clean(sites)
			close := func(what string, got, want []float32) {
				if e := relative(wide(got), wide(want)); e > 0.02 {
					t.Errorf("%s: off by %.4f", what, e)
				} else {
					t.Logf("%s: off by %.4f", what, e)
				}
			}
			close("logits", gpu.Logits, cpu.Logits)
			close("features", gpu.Features, cpu.Features)
			one, err := w.gpu.Evaluate(w.ctx, w.b)
			w.ok(err)
			close("evaluated", one.Logits, cpu.Logits)
		})
	}
}
