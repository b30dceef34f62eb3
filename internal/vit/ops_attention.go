package vit

import (
	"github.com/flops-vit/flops/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// attention is softmax(scale·q kᵀ) v for every one of H heads, the rows of q of a
// slot against all its keys. Clean operands are read at the slot's
// image.
func (g *graph) attention(name string, q, k, v act, H int, scale float32) *gorgonia.Node {
	f, rows, T, D := g.feed, q.rows, k.rows, q.width
	head := D / H
	o := g.op(Spec{Kind: OpAttention, Name: name, Rows: rows, Width: D, Heads: H, Keys: T,
		Indexed: []bool{q.clean, k.clean, v.clean}})
	at := func(x act, s int) int {
		if x.clean {
			return int(f.Image[s])
		}
		return s
	}
	o.run = func(out []float32, in [][]float32) {
		for s := 0; s < f.N; s++ {
			kernel.Attention(out[s*rows*D:], D, in[0][at(q, s)*rows*D:], D, rows, in[1][at(k, s)*T*D:], D,
				in[2][at(v, s)*T*D:], D, T, H, head, scale, nil, &f.attn)
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		d := g.op(Spec{Kind: OpAttentionGrad, Name: name + ".grad", Rows: rows, Width: D, Heads: H, Keys: T})
		nq, nk := g.slots*rows*D, g.slots*T*D
		d.shape = tensor.Shape{nq + 2*nk}
		d.run = func(out []float32, v [][]float32) {
			probs, y := f.buf(0, H*rows*T), f.buf(1, rows*D)
			dq, dk, dv := out[:nq], out[nq:nq+nk], out[nq+nk:]
			for s := 0; s < f.N; s++ {
				q, k, v, dy := v[0][s*rows*D:], v[1][s*T*D:], v[2][s*T*D:], v[3][s*rows*D:]
				kernel.Attention(y, D, q, D, rows, k, D, v, D, T, H, head, scale, probs, &f.attn)
				kernel.AttentionGrad(dq[s*rows*D:], D, dk[s*T*D:], D, dv[s*T*D:], D, dy, D, q, D, rows, k, D, v, D, T, H, head,
					scale, probs, &f.attn)
			}
		}
		all := g.apply(d, in[0], in[1], in[2], dy)
		return gorgonia.Nodes{g.part(name+".dq", all, 0, rows, D), g.part(name+".dk", all, nq, T, D),
			g.part(name+".dv", all, nq+nk, T, D)}, g.err
	}
	return g.apply(o, q.node, k.node, v.node)
}

// part is a piece of a vector as a matrix of rows·slots rows.
func (g *graph) part(name string, all *gorgonia.Node, offset, rows, d int) *gorgonia.Node {
	o := g.op(Spec{Kind: OpPart, Name: name, Rows: rows, Width: d, Offset: offset})
	o.run = func(out []float32, v [][]float32) { copy(out, v[0][offset:]) }
	return g.apply(o, all)
}

// perturb is x + sign·σ·ε for the noise of each slot's (image, pair) at a site,
// then the activation function. Of a slot's rows the first offset carry no noise, nor
// do those from offset+live on.
func (g *graph) perturb(site int, x act, rows, width, offset, live int, act Act) *gorgonia.Node {
	f := g.feed
	name := g.net.sites[site].Name
	o := g.op(Spec{Kind: OpPerturb, Name: "noise." + name, Rows: rows, Width: width, Act: act, Site: site, Offset: offset,
		Indexed: []bool{x.clean}})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.N; s++ {
			i := s
			if x.clean {
				i = int(f.Image[s])
			}
			y, z := out[s*rows*width:(s+1)*rows*width], v[0][i*rows*width:(i+1)*rows*width]
			lo, hi := offset*width, (offset+live)*width
			copy(y[:lo], z[:lo])
			copy(y[hi:], z[hi:])
			f.Noise.AddScaled(y[lo:hi], z[lo:hi], float32(f.Sign[s])*f.Sigma[site], f.counter(s, site), 0)
			act.apply(y, y)
		}
	}
	return g.apply(o, x.node)
}
