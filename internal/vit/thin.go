package vit

import "github.com/flops-vit/flops/internal/kernel"

// Thin is what is wanted of the gradient Ĝ = dzᵀ x by the weight of a map z = W x in the
// place of Ĝ itself: products of it with matrices of few rows, such as the gradients by
// the factors of an adapter. They are made of dz and x at a fraction of the operations of
// Ĝ, and of its memory.
type Thin interface {
	// Values is how many numbers they are.
	Values() int
	// FLOPs is the cost of making them where so many rows of x go through the map.
	FLOPs(rows int) int64
	// Gradient writes them, of dz, rows×out, and x, rows×in. It may be called from several
	// goroutines, each with its workspace.
	Gradient(out, dz, x []float32, rows int, t *kernel.Thin, s *kernel.Scratch)
}

// Thin has derivatives make what t says in the place of the gradient by a parameter, whose
// Grad holds that from now on; false, and nothing done, where the parameter is no map's
// weight or the model computes where whole gradients alone are made. Noise at a map's
// outputs still gives a whole gradient, which such a Grad has no room for: it is for
// whoever differentiates.
func (m *Model) Thin(param int, t Thin) bool {
	if d, ok := m.b.(interface{ Thin() bool }); !ok || !d.Thin() {
		return false
	}
	for i, s := range m.net.sites {
		if s.Weight == param && m.net.linears[i] != nil {
			m.net.thin[param] = t
			m.net.params[param].Grad = make([]float32, t.Values())
			return true
		}
	}
	return false
}

// Thin says that derivatives make what is wanted in the place of a weight's gradient.
func (c *cpu) Thin() bool { return true }

// weightFLOPs is the cost of the gradient by a weight where so many rows go through its
// map, a product of so many operations.
func (n *Net) weightFLOPs(param, rows int, product int64) int64 {
	if t := n.thin[param]; t != nil {
		return t.FLOPs(rows)
	}
	return product
}
