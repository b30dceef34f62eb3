package vit

import (
	"github.com/flops-vit/flops/internal/query"
)

// Net is one network: its parameters, its sites and, per linear map, the packed
// weight that all graphs share.
type Net struct {
	*Weights
	sites   []query.Site
	linears []*linear // parallel to sites
	store   *store
}

// NewNet puts a network over its parameters.
func NewNet(w *Weights) *Net {
	n := &Net{Weights: w, store: &store{tensors: map[string]*stored{}}}
	n.sites = w.Arch.buildSites(w.Index)
	for _, s := range n.sites {
		n.linears = append(n.linears, newLinear(w.ofSite(s)))
	}
	return n
}

// Sites lists the linear maps whose output can be perturbed: patch_embed, the
// six of every block, classifier.
func (n *Net) Sites() []query.Site { return n.sites }

// ofSite are the parameters of a site's linear map; b is nil where it has no bias.
func (w *Weights) ofSite(s query.Site) (weight, b *query.Param) {
	if s.Bias >= 0 {
		b = w.params[s.Bias]
	}
	return w.params[s.Weight], b
}

// siteGrads are the gradients of a site's weight and bias, each nil where it is
// not trained or not there.
func (n *Net) siteGrads(s query.Site) (weight, bias []float32) {
	w, b := n.ofSite(s)
	if b != nil {
		bias = b.Grad
	}
	return w.Grad, bias
}

// touch forgets the packed form of the weights that changed; all says that
// frozen ones did too.
func (n *Net) touch(all bool) {
	for _, l := range n.linears {
		if all || l.w.Grad != nil {
			l.stale()
		}
	}
}

// inputName is the activation that a site's linear map reads, x in z = x Wᵀ.
// Under the structural mask only the live rows of the last block are kept.
func (n *Net) inputName(site int, masked bool) (name string, rows int) {
	s := n.sites[site]
	l := s.Block
	if l < 0 {
		if s.Kind == PatchEmbed {
			return "patches", s.Rows
		}
		return "f", 1
	}
	last := l == n.Arch.Layers-1
	T := n.Arch.Tokens()
	full := last && !masked && T > 1
	pick := func(base string) (string, int) {
		switch {
		case full:
			return at(base+".full", l), T
		case last:
			return at(base, l), 1
		}
		return at(base, l), T
	}
	switch s.Kind {
	case Key, Value:
		return at("x1", l), T
	case Query:
		if last && !full && T > 1 {
			return at("xq", l), 1
		}
		return at("x1", l), T
	case AttnOut:
		return pick("a")
	case MLPIn:
		return pick("x2")
	default:
		return pick("g")
	}
}
