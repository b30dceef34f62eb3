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

// moments are the mean of steps of weight noise on a parameter and its standard error by
// every number.
func moments(t *testing.T, m *Model, b *forward.Batch, param int, o forward.Options, runs int) (mean, se []float64) {
	t.Helper()
	o.Params = []int{param}
	e, err := forward.Weight(m, o)
	testkit.Must(t, err)
	grad := m.Params()[param].Grad
	mean, se = make([]float64, len(grad)), make([]float64, len(grad))
	a := alloc.NewUniform(alloc.Limits{Least: 2, Even: true})
	for range runs {
		_, err := e.Step(t.Context(), b, a, 2*b.Size)
		testkit.Must(t, err)
		for i, g := range grad {
			mean[i] += float64(g)
			se[i] += float64(g) * float64(g)
		}
	}
	n := float64(runs)
	for i := range mean {
		mean[i] /= n
		se[i] = math.Sqrt((se[i]/n - mean[i]*mean[i]) / (n - 1))
	}
	return mean, se
}

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
		mean, se := moments(t, m, b, at, forward.Options{Antithetic: true, Sigma: 2e-3}, 300)
		top := float64(slices.Max(want))
		for i, w := range want { // besides the smoothing, of order sigma squared, and float32's rounding
			if math.Abs(mean[i]-float64(w)) > 4.5*se[i]+1e-3*top {
				t.Errorf("%s, number %d: mean %v ± %v, gradient %v", name, i, mean[i], se[i], w)
			}
		}
	}
}
