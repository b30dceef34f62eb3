package vit

import "github.com/flops-vit/flops/internal/kernel"

// Thin is a map z = W x whose W is a parameter and an adapter's few numbers together, and
// of the gradient Ĝ = dzᵀ x by W that by these is wanted: products of Ĝ with matrices of
// few rows, which where these are few enough are made of dz and x at a fraction of the
// operations of Ĝ, and of its memory.
type Thin interface {
	// Weight writes W, out×in. Of all that a network has one is called at a time.
	Weight(w []float32)
	// Values is how many numbers they are.
	Values() int
	// FLOPs is the cost of making them where so many rows of x go through the map.
	FLOPs(rows int) int64
	// Gradient writes them, of dz, rows×out, and x, rows×in. It may be called from several
	// goroutines, each with its workspace.
	Gradient(out, dz, x []float32, rows int, t *kernel.Thin, s *kernel.Scratch)
}

// Thin has the maps of a parameter computed by the weight that t writes, made anew after
// every Touch, and derivatives make what t says in the place of the gradient by the
// parameter, whose Grad holds that from now on; false, and nothing done, where the parameter
// is no map's weight or the model computes where weights and gradients are whole. Noise at a
// map's outputs still gives a whole gradient, which such a Grad has no room for: it is for
// whoever differentiates.
func (m *Model) Thin(param int, t Thin) bool {
	c, ok := m.b.(*cpu)
	if !ok {
		return false
	}
	found := false
	for i, s := range m.net.sites {
		if l := m.net.linears[i]; s.Weight == param && l != nil {
			found, l.thin = true, t
			l.stale()
		}
	}
	if found {
		m.net.params[param].Grad = make([]float32, t.Values())
	}
	c.rebuild() // derivatives that are built already are of whole weights
	return found
}

// Unpack gives back the memory of the weights that Thin writes, until they are needed
// again. Nothing may run meanwhile.
func (m *Model) Unpack() {
	for _, l := range m.net.linears {
		if l != nil && l.thin != nil {
			l.unpack()
		}
	}
}

// weightFLOPs is the cost of the gradient by a site's weight where so many rows go through
// its map, a product of so many operations.
func (n *Net) weightFLOPs(site, rows int, product int64) int64 {
	if l := n.linears[site]; l != nil && l.thin != nil {
		return l.thin.FLOPs(rows)
	}
	return product
}
