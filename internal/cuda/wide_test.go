package cuda

import (
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// wideNet is a vision transformer in float64, written down from its definition, that
// evaluates one image at a time under the noise of one site.
type wideNet struct {
	a     vit.Arch
	p     map[string][]float64
	sites []forward.Site
	plain bool // every linear map rounds what it reads to bf16, as values in bf16 do
}

func newWide(n *vit.Net) *wideNet {
	w := &wideNet{a: n.Arch.(vit.Arch), p: map[string][]float64{}, sites: n.Sites()}
	for _, p := range n.Params() {
		w.p[p.Name] = wide(p.Data)
	}
	return w
}

// roundHalf is the nearest bf16.
func roundHalf(v float64) float64 {
	b := math.Float32bits(float32(v))
	return float64(math.Float32frombits((b + 0x7FFF + b>>16&1) &^ 0xFFFF))
}

// linear is x Wᵀ + b of every row.
func (w *wideNet) linear(name string, x [][]float64) [][]float64 {
	m, b := w.p[name+".weight"], w.p[name+".bias"]
	var out [][]float64
	for _, row := range x {
		in := slices.Clone(row)
		for i := range in {
			if w.plain {
				in[i] = roundHalf(in[i])
			}
		}
		y := make([]float64, len(m)/len(in))
		for j := range y {
			for i, v := range in {
				y[j] += v * m[j*len(in)+i]
			}
			if b != nil {
				y[j] += b[j]
			}
		}
		out = append(out, y)
	}
	return out
}

func (w *wideNet) norm(name string, x [][]float64) [][]float64 {
	g, b := w.p[name+".weight"], w.p[name+".bias"]
	var out [][]float64
	for _, row := range x {
		var mean, sq float64
		for _, v := range row {
			mean += v / float64(len(row))
		}
		for _, v := range row {
			sq += (v - mean) * (v - mean) / float64(len(row))
		}
		y := make([]float64, len(row))
		for i, v := range row {
			y[i] = (v-mean)/math.Sqrt(sq+w.a.Eps)*g[i] + b[i]
		}
		out = append(out, y)
	}
	return out
}

// attention is softmax(q kᵀ/√d) v of every head.
func (w *wideNet) attention(q, k, v [][]float64) [][]float64 {
	d := w.a.HeadDim()
	out := make([][]float64, len(q))
	for r := range q {
		out[r] = make([]float64, w.a.Hidden)
		for h := 0; h < w.a.Heads; h++ {
			s := make([]float64, len(k))
			for t := range k {
				for c := h * d; c < (h+1)*d; c++ {
					s[t] += q[r][c] * k[t][c] / math.Sqrt(float64(d))
				}
			}
			top, sum := slices.Max(s), 0.0
			for t := range s {
				s[t] = math.Exp(s[t] - top)
				sum += s[t]
			}
			for t := range s {
				for c := h * d; c < (h+1)*d; c++ {
					out[r][c] += s[t] / sum * v[t][c]
				}
			}
		}
	}
	return out
}

// shift adds noise to rows from the offset on.
func shift(x [][]float64, offset int, e []float64) {
	for i, v := range e {
		x[offset+i/len(x[0])][i%len(x[0])] += v
	}
}

func sum(x, y [][]float64) [][]float64 {
	var out [][]float64
	for i := range x {
		out = append(out, slices.Clone(x[i]))
		for j := range y[i] {
			out[i][j] += y[i][j]
		}
	}
	return out
}

// loss is the cross-entropy of an image whose site carries the noise e (nil: none).
func (w *wideNet) loss(img []float32, label, site int, e []float64) float64 {
	a := w.a
	at := func(kind string, block int, x [][]float64, offset int) {
		if e != nil && w.sites[site].Kind == kind && w.sites[site].Block == block {
			shift(x, offset, e)
		}
	}
	var cut [][]float64
	for p, side := 0, a.Image/a.Patch; p < side*side; p++ {
		var row []float64
		for c := 0; c < a.Chans; c++ {
			for y := 0; y < a.Patch; y++ {
				for x := 0; x < a.Patch; x++ {
					row = append(row, float64(img[(c*a.Image+p/side*a.Patch+y)*a.Image+p%side*a.Patch+x]))
				}
			}
		}
		cut = append(cut, row)
	}
	D, pos := a.Hidden, w.p["vit.embeddings.position_embeddings"]
	h := make([][]float64, 1)
	for i := range D {
		h[0] = append(h[0], w.p["vit.embeddings.cls_token"][i]+pos[i])
	}
	for p := range a.Prompts {
		h = append(h, slices.Clone(w.p["prompt.tokens"][p*D:(p+1)*D]))
	}
	for p, z := range w.linear("vit.embeddings.patch_embeddings.projection", cut) {
		for i := range z {
			z[i] += pos[(p+1)*D+i]
		}
		h = append(h, z)
	}
	at(vit.PatchEmbed, -1, h, 1+a.Prompts)
	for l := 0; l < a.Layers; l++ {
		base := fmt.Sprintf("vit.encoder.layer.%d.", l)
		x := w.norm(base+"layernorm_before", h)
		xq := x
		if l == a.Layers-1 {
			xq, h = x[:1], h[:1]
		}
		q := w.linear(base+"attention.attention.query", xq)
		k, v := w.linear(base+"attention.attention.key", x), w.linear(base+"attention.attention.value", x)
		at(vit.Query, l, q, 0)
		at(vit.Key, l, k, 0)
		at(vit.Value, l, v, 0)
		h = sum(h, w.linear(base+"attention.output.dense", w.attention(q, k, v)))
		at(vit.AttnOut, l, h, 0)
		z := w.linear(base+"intermediate.dense", w.norm(base+"layernorm_after", h))
		at(vit.MLPIn, l, z, 0)
		for i := range z {
			for j, u := range z[i] {
				z[i][j] = u * 0.5 * math.Erfc(-u/math.Sqrt2)
			}
		}
		h = sum(h, w.linear(base+"output.dense", z))
		at(vit.MLPOut, l, h, 0)
		at(vit.Residual, l, h, 0)
	}
	y := w.linear("classifier", w.norm("vit.layernorm", h[:1]))
	at(vit.Classifier, -1, y, 0)
	top, total := slices.Max(y[0]), 0.0
	for _, v := range y[0] {
		total += math.Exp(v - top)
	}
	return math.Log(total) + top - y[0][label]
}

// direction is the noise ε of a site's query, times a scale.
func (w *wideNet) direction(site int, step uint32, q forward.Query, scale float64) []float64 {
	s := w.sites[site]
	e := make([]float32, s.Live*s.Out)
	if s.Kind == vit.PatchEmbed {
		e = e[:w.a.Patches()*s.Out]
	}
	noise.Gaussian(seed).Fill(e, noise.Counter{Step: step, Site: uint32(site), Image: uint32(q.Image),
		Pair: uint32(q.Pair)}, 0)
	out := wide(e)
	for i := range out {
		out[i] *= scale
	}
	return out
}
