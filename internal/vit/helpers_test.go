package vit

import (
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/noise"
)

// drawn are weights from N(0, scale²) times what their specs say.
func drawn(t testing.TB, a Architecture, seed uint64, scale float32) *Weights {
	t.Helper()
	w, err := NewWeights(a)
	if err != nil {
		t.Fatal(err)
	}
	w.Init(func(dst []float32, tensor int) {
		g := noise.Rand(seed, noise.Init, uint32(tensor))
		for i := range dst {
			dst[i] = scale * float32(g.Normal())
		}
	})
	return w
}

// trainAll gives every parameter a gradient, and takes those that large says away from
// their small start.
func (w *Weights) trainAll(large func(*forward.Param) bool) {
	for _, p := range w.params {
		p.Grad = make([]float32, len(p.Data))
		if large != nil && large(p) {
			for i := range p.Data {
				p.Data[i] *= 25
			}
		}
	}
}

func crossEntropy(t testing.TB) objective.Objective {
	t.Helper()
	return objective.CE{}
}
