package vit

import (
	"fmt"

	"github.com/flops-vit/flops/forward"
)

// Net is one network: its parameters, its sites and, per linear map, the packed
// weight that all graphs share.
type Net struct {
	*Weights
	sites   []forward.Site
	linears []*linear // parallel to sites
	spare   *spares   // packed weights that no map needs now
	bySite  map[siteKey]int
	direct  map[int]int // of a parameter that noise is added to itself: its site
	out     *outline
	store   *store // of activations that a forward left, in a Net that a backend runs
}

// siteKey names a site.
type siteKey struct {
	kind  string
	block int
}

// NewNet puts a network over its parameters.
func NewNet(w *Weights) *Net {
	n := &Net{Weights: w, bySite: map[siteKey]int{}, spare: &spares{}}
	o, err := guard(func() (*outline, error) { return outlineOf(n) })
	if err != nil { // only a family that contradicts itself comes here
		panic(fmt.Sprintf("vit: %T: %v", w.Arch, err))
	}
	n.out = o
	return n
}

// Sites lists the linear maps whose output can be perturbed, in the order of a
// forward.
func (n *Net) Sites() []forward.Site { return n.sites }

// ofSite are the parameters of a site's linear map; b is nil where it has no bias.
func (w *Weights) ofSite(s forward.Site) (weight, b *forward.Param) {
	if s.Bias >= 0 {
		b = w.params[s.Bias]
	}
	return w.params[s.Weight], b
}

// siteGrads are the gradients of a site's weight and bias, each nil where it is
// not trained or not there.
func (n *Net) siteGrads(s forward.Site) (weight, bias []float32) {
	if s.Weight < 0 {
		return nil, nil
	}
	w, b := n.ofSite(s)
	if b != nil {
		bias = b.Grad
	}
	return w.Grad, bias
}

// SiteInput names the activation that a site's linear map reads, x in
// z = x Wᵀ, and its rows that a gradient under this mask pairs with noise: those
// that reach the loss, or all.
func (n *Net) SiteInput(site int, masked bool) Activation {
	if masked {
		return n.out.masked[site]
	}
	return n.out.unmasked[site]
}

// Pixels is the number of values of an image.
func (n *Net) Pixels() int {
	chans, height, width := n.Arch.Input()
	return chans * height * width
}

// Boundary is the activation that a forward from the i-th boundary (Forward.From)
// starts with.
func (n *Net) Boundary(i int) Activation { return n.out.boundaries[i-1] }

// Boundaries is how many there are: the number of the last.
func (n *Net) Boundaries() int { return len(n.out.boundaries) }

// Features is the pooled embedding that the logits are made of.
func (n *Net) Features() Activation { return n.out.features }

// Widest is the width of the widest activation, and MostHeads the largest number
// of attention heads: what a device needs workspace for.
func (n *Net) Widest() int { return n.out.widest }

// MostHeads is the largest number of attention heads.
func (n *Net) MostHeads() int { return n.out.most }

// Needs says what a forward must keep for the gradient of these sites: split,
// the value before an activation function; full, rows that nothing reads.
func (n *Net) Needs(sites []int, masked bool) (split, full bool) {
	for _, s := range sites {
		split = split || n.out.functions[s]
		full = full || !masked && n.out.masked[s] != n.out.unmasked[s]
	}
	return split, full
}

// ForwardFLOPs is the cost of one clean forward of one image.
func (n *Net) ForwardFLOPs() int64 { return n.out.from(0) }

// BackwardFLOPs is the cost of the backward pass of one image for the parameters
// that are trained now, those with a gradient.
func (n *Net) BackwardFLOPs() int64 {
	return n.out.backward(n, func(i int) bool { return n.params[i].Grad != nil })
}
