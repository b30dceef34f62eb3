package vit

import (
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/noise"
)

// TestTangent: queries of learned tokens, at the input and in every block, that are
// answered by the exact slope at the logits have backpropagation's gradient as their mean.
func TestTangent(t *testing.T) {
	a := Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 16, Layers: 2, Heads: 2, MLP: 24, Classes: 3, Prompts: 2, Eps: 1e-6}
	r := noise.Rand(5, noise.Test)
	b := &forward.Batch{Size: 4, Inputs: make([]float32, 4*3*64), Labels: []int32{0, 1, 2, 1}, Index: []int32{0, 1, 2, 3}}
	for i := range b.Inputs {
		b.Inputs[i] = float32(r.Normal())
	}
	for name, deep := range map[string]bool{"shallow": false, "deep": true} {
		e := ViT(a)
		e.Deep = deep
		w := drawn(t, e, 7, 5)
		at := slices.IndexFunc(w.Params(), func(p *forward.Param) bool { return p.Role == "prompt" })
		w.Params()[at].Grad = make([]float32, len(w.Params()[at].Data))
		m := NewModel(NewNet(w), Options{Threads: 1, Noise: noise.Gaussian(3), Loss: crossEntropy(t), Mask: true,
			Exact: true})
		t.Cleanup(func() { _ = m.Close() })
		_, err := m.Backward(t.Context(), b)
		testkit.Must(t, err)
		want := slices.Clone(w.Params()[at].Grad)
		estimator, err := forward.Weight(m, forward.Options{Antithetic: true, Sigma: 2e-3, Params: []int{at}})
		testkit.Must(t, err)
		even, got := alloc.NewUniform(alloc.Limits{Least: 2, Even: true}), testkit.Moments{}
		for range 300 {
			_, err := estimator.Step(t.Context(), b, even, 2*b.Size)
			testkit.Must(t, err)
			got.Add(w.Params()[at].Grad)
		}
		top := float64(slices.Max(want))
		for i, w := range want { // besides the smoothing, of order sigma squared, and float32's rounding
			if mean, _, se := got.At(i); math.Abs(mean-float64(w)) > 4.5*se+1e-3*top {
				t.Errorf("%s, number %d: mean %v ± %v, gradient %v", name, i, mean, se, w)
			}
		}
	}
}
