package train

import (
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
)

// partner is the map whose outputs meet those of a site's in attention: the keys of
// queries, the queries of keys; -1 of other maps.
func partner(sites []forward.Site, i int) int {
	switch sites[i].Kind {
	case "query":
		return inBlockOf(sites, i, "key")
	case "key":
		return inBlockOf(sites, i, "query")
	}
	return -1
}

// inBlockOf is the map of a kind in a site's block, -1 where there is none.
func inBlockOf(sites []forward.Site, i int, kind string) int {
	return slices.IndexFunc(sites, func(s forward.Site) bool {
		return s.Block == sites[i].Block && s.Kind == kind && s.Weight >= 0
	})
}

// outputs is the matrix, Out×Out, whose leading directions hold most of the gradient at a
// map's outputs as far as clean passes and weights can tell. With g the gradient at what a
// block adds to the residual stream:
//
//	query       that at q_t is Σ_s dS_ts k_s, head by head: Σ k kᵀ of each head's keys
//	key         that at k_s is Σ_t dS_ts q_t: Σ q qᵀ of each head's queries
//	value       attention carries W_oᵀ g there, W_o of attn_out: W_oᵀ W_o
//	mlp_in      φ′ ∘ W₂ᵀ g, W₂ of mlp_out: W₂ᵀ W₂
//	the others  Σ z zᵀ of what they give, and beside it, as large, the covariance of the
//	            classes' means of the features, which the classifier reads apart
//
// docs/method.md has what each was measured to hold.
func (l *looked) outputs(i int) []float32 {
	s := l.Sites()[i]
	if o := partner(l.Sites(), i); o >= 0 && l.Sites()[o].Out == s.Out && s.Out%l.heads == 0 {
		c := l.by[l.Input(o)].given(l.Params(), l.Sites()[o])
		for k := range c {
			if k/s.Out/(s.Out/l.heads) != k%s.Out/(s.Out/l.heads) { // of two heads
				c[k] = 0
			}
		}
		return c
	}
	next := map[string]string{"value": "attn_out", "mlp_in": "mlp_out", "mlp_gate": "mlp_out"}[s.Kind]
	if o := inBlockOf(l.Sites(), i, next); o >= 0 && l.Sites()[o].In == s.Out {
		r := l.Sites()[o]
		c, w := make([]float32, s.Out*s.Out), l.Params()[r.Weight].Data
		var scratch kernel.Scratch
		kernel.GemmTN(c, s.Out, w, s.Out, w, s.Out, s.Out, s.Out, r.Out, false, &scratch)
		return c
	}
	c := l.by[l.Input(i)].given(l.Params(), s)
	if b := l.between.covariance(); len(b) == len(c) {
		if mine, theirs := trace(c, s.Out), trace(b, s.Out); theirs > 0 {
			kernel.Axpy(c, mine/theirs, b)
		}
	}
	return c
}

func trace(c []float32, n int) (sum float32) {
	for i := range n {
		sum += c[i*n+i]
	}
	return sum
}

// spread is what is known of the classes' means of the features.
type spread struct {
	width  int
	counts []int
	sums   []float32 // classes×width
}

// add takes the features of the first images of a pass; nothing where it has none, or no
// classes.
func (s *spread) add(c *forward.Clean, labels []int32, images int) {
	if c.Dim == 0 || len(c.Features) < images*c.Dim || len(labels) < images {
		return
	}
	s.width = c.Dim
	for i, at := range labels[:images] {
		if at < 0 {
			continue
		}
		for len(s.counts) <= int(at) {
			s.counts, s.sums = append(s.counts, 0), append(s.sums, make([]float32, c.Dim)...)
		}
		s.counts[at]++
		kernel.AddTo(s.sums[int(at)*c.Dim:][:c.Dim], c.Features[i*c.Dim:(i+1)*c.Dim])
	}
}

// covariance is Σ_c n_c (μ_c − μ)(μ_c − μ)ᵀ; nil where nothing is known.
func (s *spread) covariance() []float32 {
	n, W := 0, s.width
	mean := make([]float32, W)
	for c, k := range s.counts {
		n += k
		kernel.AddTo(mean, s.sums[c*W:(c+1)*W])
	}
	if n == 0 {
		return nil
	}
	out, d := make([]float32, W*W), make([]float32, W)
	for c, k := range s.counts {
		if k == 0 {
			continue
		}
		for j := range d {
			d[j] = s.sums[c*W+j]/float32(k) - mean[j]/float32(n)
		}
		for j := range d {
			kernel.Axpy(out[j*W:(j+1)*W], float32(k)*d[j], d)
		}
	}
	return out
}
