package vit

import (
	"slices"

	"github.com/flops-vit/flops/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// attention is softmax(scale·q kᵀ + bias) v for every one of H heads, the rows of q of
// a slot against all its keys. Clean operands are read at the slot's
// image. half: both products are in bf16.
func (g *graph) attention(name string, q, k, v act, H int, scale float32, rel relative, half bool) *gorgonia.Node {
	f, rows, T, D := g.feed, q.rows, k.rows, q.width
	head := D / H
	o := g.op(Spec{Kind: OpAttention, Name: name, Rows: rows, Width: D, Heads: H, Keys: T,
		Indexed: []bool{q.clean, k.clean, v.clean}, Biased: rel.table != ""})
	ins := gorgonia.Nodes{q.node, k.node, v.node}
	if rel.table != "" {
		ins = append(ins, g.relativeBias(name, rel, rows, T, H))
		o.spec.Indexed = append(o.spec.Indexed, false)
	}
	bias := func(in [][]float32) []float32 {
		if rel.table == "" {
			return nil
		}
		return in[3]
	}
	at := func(x act, s int) int {
		if x.clean {
			return int(f.Image[s])
		}
		return s
	}
	o.run = func(out []float32, in [][]float32) {
		for s := 0; s < f.Slots; s++ {
			y, q, k, v := out[s*rows*D:], in[0][at(q, s)*rows*D:], in[1][at(k, s)*T*D:], in[2][at(v, s)*T*D:]
			if half {
				kernel.AttentionHalf(y, D, q, D, rows, k, D, v, D, T, H, head, scale, bias(in), &f.look)
			} else {
				kernel.Attention(y, D, q, D, rows, k, D, v, D, T, H, head, scale, bias(in), nil, &f.attn)
			}
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		d := g.op(Spec{Kind: OpAttentionGrad, Name: name + ".grad", Rows: rows, Width: D, Heads: H, Keys: T,
			Biased: len(in) > 3})
		nq, nk, nb := g.slots*rows*D, g.slots*T*D, 0
		if len(in) > 3 {
			nb = H * rows * T
		}
		d.shape = tensor.Shape{nq + 2*nk + nb}
		d.run = func(out []float32, v [][]float32) {
			probs, y := f.buf(0, H*rows*T), f.buf(1, rows*D)
			dq, dk, dv, db := out[:nq], out[nq:nq+nk], out[nq+nk:nq+2*nk], out[nq+2*nk:]
			clear(db)
			dy := v[len(v)-1]
			for s := 0; s < f.Slots; s++ {
				q, k, w, dy := v[0][s*rows*D:], v[1][s*T*D:], v[2][s*T*D:], dy[s*rows*D:]
				kernel.Attention(y, D, q, D, rows, k, D, w, D, T, H, head, scale, bias(v), probs, &f.attn)
				kernel.AttentionGrad(dq[s*rows*D:], D, dk[s*T*D:], D, dv[s*T*D:], D, dy, D, q, D, rows, k, D, w, D, T, H, head,
					scale, probs, db, &f.attn)
			}
		}
		all := g.apply(d, append(slices.Clone(in), dy)...)
		out := gorgonia.Nodes{g.part(name+".dq", all, 0, rows, D), g.part(name+".dk", all, nq, T, D),
			g.part(name+".dv", all, nq+nk, T, D)}
		if nb > 0 {
			out = append(out, g.partOf(Spec{Kind: OpPart, Name: name + ".db", Offset: nq + 2*nk}, all,
				tensor.Shape{H * rows, T}))
		}
		return out, g.err
	}
	return g.apply(o, ins...)
}

// part is a piece of a vector as a matrix of rows·slots rows.
func (g *graph) part(name string, all *gorgonia.Node, offset, rows, d int) *gorgonia.Node {
	return g.partOf(Spec{Kind: OpPart, Name: name, Rows: rows, Width: d, Offset: offset}, all,
		tensor.Shape{g.slots * rows, d})
}

// partOf is a piece of a vector in a shape of its own.
func (g *graph) partOf(s Spec, all *gorgonia.Node, shape tensor.Shape) *gorgonia.Node {
	o := g.op(s)
	o.shape = shape
	o.run = func(out []float32, v [][]float32) { copy(out, v[0][s.Offset:]) }
	return g.apply(o, all)
}

// perturb is x + sign·σ·ε for the noise of each slot's (image, pair) at a site,
// then the activation function. Of a slot's rows the first offset carry no noise, nor
// do those from offset+live on.
func (g *graph) perturb(site int, x act, rows, width, offset, live int, act Act) *gorgonia.Node {
	f := g.feed
	name := g.net.sites[site].Name
	o := g.op(Spec{Kind: OpPerturb, Name: "noise." + name, Rows: rows, Width: width, Act: act, Site: site, Offset: offset,
		Live: live, Indexed: []bool{x.clean}})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.Slots; s++ {
			i := s
			if x.clean {
				i = int(f.Image[s])
			}
			y, z := out[s*rows*width:(s+1)*rows*width], v[0][i*rows*width:(i+1)*rows*width]
			lo, hi := offset*width, (offset+live)*width
			if f.Sign[s] == 0 {
				hi = lo
			}
			copy(y[:lo], z[:lo])
			copy(y[hi:], z[hi:])
			f.Noise.AddScaled(y[lo:hi], z[lo:hi], float32(f.Sign[s])*f.Sigma[site], f.counter(s, site), 0)
			act.apply(y, y)
		}
	}
	return g.apply(o, x.node)
}
