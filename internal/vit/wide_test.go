package vit

import (
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/noise"
)

// wideNet is a plain ViT in float64, written down from its definition, that evaluates
// one image under the noise of one site. Where rounds, its linear maps read values
// rounded to bf16.
type wideNet struct {
	a      Arch
	p      map[string][]float64
	sites  []forward.Site
	rounds bool
	site   int
	noise  []float64
}

type matrix [][]float64

func newWide(n *Net) *wideNet {
	w := &wideNet{a: n.Arch.(Arch), p: map[string][]float64{}, sites: n.sites}
	for _, p := range n.params {
		for _, v := range p.Data {
			w.p[p.Name] = append(w.p[p.Name], float64(v))
		}
	}
	return w
}

// mapped is x Wᵀ + b + res, with the site's noise on it.
func (w *wideNet) mapped(kind string, block int, name string, x, res matrix) matrix {
	m, b := w.p[name+".weight"], w.p[name+".bias"]
	out := make(matrix, len(x))
	for r, row := range x {
		row = slices.Clone(row)
		for i := range row {
			if w.rounds && kind != Classifier {
				row[i] = float64(kernel.FromHalf(kernel.RoundHalf(float32(row[i]))))
			}
		}
		out[r] = slices.Clone(b)
		for j := range b {
			for i, v := range row {
				out[r][j] += v * m[j*len(row)+i]
			}
			if res != nil {
				out[r][j] += res[r][j]
			}
			if s := w.sites[w.site]; s.Kind == kind && s.Block == block {
				out[r][j] += w.noise[r*len(b)+j]
			}
		}
	}
	return out
}

func (w *wideNet) norm(name string, x matrix) matrix {
	g, b := w.p[name+".weight"], w.p[name+".bias"]
	out := make(matrix, len(x))
	for r, row := range x {
		var mean, sq float64
		for _, v := range row {
			mean += v / float64(len(row))
		}
		for _, v := range row {
			sq += (v - mean) * (v - mean) / float64(len(row))
		}
		for i, v := range row {
			out[r] = append(out[r], (v-mean)/math.Sqrt(sq+w.a.Eps)*g[i]+b[i])
		}
	}
	return out
}

// attention is softmax(q kᵀ/√d) v of every head.
func (w *wideNet) attention(q, k, v matrix) matrix {
	d := w.a.HeadDim()
	out := make(matrix, len(q))
	for r := range q {
		out[r] = make([]float64, w.a.Hidden)
		for h := range w.a.Heads {
			s, total := make([]float64, len(k)), 0.0
			for t := range k {
				for c := h * d; c < (h+1)*d; c++ {
					s[t] += q[r][c] * k[t][c] / math.Sqrt(float64(d))
				}
				s[t] = math.Exp(s[t])
				total += s[t]
			}
			for t := range s {
				for c := h * d; c < (h+1)*d; c++ {
					out[r][c] += s[t] / total * v[t][c]
				}
			}
		}
	}
	return out
}

// loss is the cross-entropy of an image under the noise e at a site.
func (w *wideNet) loss(img []float32, label, site int, e []float64) float64 {
	w.site, w.noise = site, e
	a, side := w.a, w.a.Image/w.a.Patch
	var cut, h matrix
	for p := range side * side {
		var row []float64
		for i := range a.Chans * a.Patch * a.Patch {
			c, y, x := i/a.Patch/a.Patch, i/a.Patch%a.Patch, i%a.Patch
			row = append(row, float64(img[(c*a.Image+p/side*a.Patch+y)*a.Image+p%side*a.Patch+x]))
		}
		cut = append(cut, row)
	}
	tokens := w.mapped(PatchEmbed, -1, "vit.embeddings.patch_embeddings.projection", cut, nil)
	for t, z := range append(matrix{slices.Clone(w.p["vit.embeddings.cls_token"])}, tokens...) {
		for i := range z {
			z[i] += w.p["vit.embeddings.position_embeddings"][t*a.Hidden+i]
		}
		h = append(h, z)
	}
	for l := range a.Layers {
		base := fmt.Sprintf("vit.encoder.layer.%d.", l)
		x := w.norm(base+"layernorm_before", h)
		live := len(x)
		if l == a.Layers-1 {
			live = 1
		}
		q := w.mapped(Query, l, base+"attention.attention.query", x[:live], nil)
		k := w.mapped(Key, l, base+"attention.attention.key", x, nil)
		v := w.mapped(Value, l, base+"attention.attention.value", x, nil)
		h = w.mapped(AttnOut, l, base+"attention.output.dense", w.attention(q, k, v), h[:live])
		z := w.mapped(MLPIn, l, base+"intermediate.dense", w.norm(base+"layernorm_after", h), nil)
		for _, row := range z {
			for j, u := range row {
				row[j] = u * 0.5 * math.Erfc(-u/math.Sqrt2)
			}
		}
		h = w.mapped(MLPOut, l, base+"output.dense", z, h)
	}
	y := w.mapped(Classifier, -1, "classifier", w.norm("vit.layernorm", h[:1]), nil)
	total := 0.0
	for _, v := range y[0] {
		total += math.Exp(v)
	}
	return math.Log(total) - y[0][label]
}

// direction is a query's noise at a site, times a scale.
func (w *wideNet) direction(src noise.Source, site int, step uint32, q forward.Query, scale float64) []float64 {
	s := w.sites[site]
	e := make([]float32, s.Live*s.Out)
	if s.Kind == PatchEmbed {
		e = e[:w.a.Patches()*s.Out]
	}
	src.AddScaled(e, e, 1, noise.Counter{Step: step, Site: uint32(site), Image: uint32(q.Image), Pair: uint32(q.Pair)}, 0)
	out := make([]float64, len(e))
	for i, v := range e {
		out[i] = scale * float64(v)
	}
	return out
}
