package vit

import (
	"math"

	"github.com/flops-vit/flops/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// texts is the embedding of each id, or the row of the learned context that it
// names, and its position. An id that is neither has no embedding: its row is no
// number.
func (g *graph) texts(ids *gorgonia.Node, t Text) *gorgonia.Node {
	f, T, D := g.feed, t.Context, t.Hidden
	in := gorgonia.Nodes{ids, g.param(g.net.param(t.Names.Tokens)), g.param(g.net.param(t.Names.Positions))}
	if t.Learned > 0 {
		in = append(in, g.param(g.net.param(ContextName)))
	}
	o := g.op(Spec{Kind: OpTexts, Name: "texts", Rows: T, InRows: 1, Width: D})
	// source is the table and the row of an id.
	source := func(id float32) (table, row int) {
		switch i := int(id); {
		case i >= 0 && i < t.Vocabulary:
			return 1, i
		case i < 0 && -i <= t.Learned:
			return 3, -1 - i
		}
		return 0, 0
	}
	o.run = func(out []float32, v [][]float32) {
		for r := range f.Slots * T {
			table, row := source(v[0][r])
			y := out[r*D : (r+1)*D]
			if table == 0 {
				for i := range y {
					y[i] = float32(math.NaN())
				}
				continue
			}
			kernel.Add(y, v[table][row*D:(row+1)*D], v[2][r%T*D:(r%T+1)*D])
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		out := gorgonia.Nodes{g.noGrad("texts.dids", 1, T, dy)}
		for i, n := range in[1:] {
			d := g.op(Spec{Kind: OpTextsGrad, Name: "texts.d" + n.Name(), Rows: T, Width: D, Part: i + 1})
			d.shape = n.Shape()
			d.run = func(out []float32, v [][]float32) {
				clear(out)
				for r := range f.Slots * T {
					table, row := source(v[1][r])
					if d.spec.Part == 2 {
						table, row = 2, r%T
					}
					if table == d.spec.Part {
						kernel.AddTo(out[row*D:(row+1)*D], v[0][r*D:(r+1)*D])
					}
				}
			}
			out = append(out, g.apply(d, dy, in[0]))
		}
		return out, g.err
	}
	return g.apply(o, in...)
}

// noGrad stands where an input, such as a number of a row, has no gradient.
func (g *graph) noGrad(name string, rows, width int, dy *gorgonia.Node) *gorgonia.Node {
	o := g.op(Spec{Kind: OpNone, Name: name, Rows: rows, Width: width})
	o.run = func(out []float32, _ [][]float32) { clear(out) }
	return g.apply(o, dy)
}

// ends is the row of each text that is read.
func (g *graph) ends(ids *gorgonia.Node, t Text) *gorgonia.Node {
	f, T := g.feed, t.Context
	o := g.op(Spec{Kind: OpEnds, Name: "end", Rows: 1, InRows: 1, Width: 1})
	o.run = func(out []float32, v [][]float32) {
		for s := range f.Slots {
			out[s] = float32(t.row(v[0][s*T : (s+1)*T]))
		}
	}
	o.grad = func(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		return gorgonia.Nodes{g.noGrad("end.dids", 1, T, dy)}, g.err
	}
	return g.apply(o, ids)
}

// row is the row of one text that is read.
func (t Text) row(ids []float32) int {
	at := 0
	switch t.End {
	case EndLast:
		return len(ids) - 1
	case EndLargest:
		for i, id := range ids {
			if id > ids[at] {
				at = i
			}
		}
	case EndFirst:
		for i, id := range ids {
			if int(id) == t.EOS {
				return i
			}
		}
	}
	return at
}

// picked is the row of x that end names.
func (g *graph) picked(name string, x, end act) act {
	return g.step(name, 1, x.width, []act{x, end}, func(in []act) *gorgonia.Node { return g.pick(name, in[0], in[1]) })
}

// slotOf is where a slot finds its share of an input.
func (g *graph) slotOf(x act, s int) int {
	if x.clean {
		return int(g.feed.Image[s])
	}
	return s
}

func (g *graph) pick(name string, x, end act) *gorgonia.Node {
	f, rows, width := g.feed, x.rows, x.width
	o := g.op(Spec{Kind: OpPick, Name: name, Rows: 1, InRows: rows, Width: width, Indexed: []bool{x.clean, end.clean}})
	o.run = func(out []float32, v [][]float32) {
		for s := range f.Slots {
			at := g.slotOf(x, s)*rows + int(v[1][g.slotOf(end, s)])
			copy(out[s*width:(s+1)*width], v[0][at*width:(at+1)*width])
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		d := g.op(Spec{Kind: OpPickGrad, Name: name + ".dx", Rows: rows, InRows: 1, Width: width})
		d.run = func(out []float32, v [][]float32) {
			clear(out[:f.Slots*rows*width])
			for s := range f.Slots {
				copy(out[(s*rows+int(v[1][s]))*width:], v[0][s*width:(s+1)*width])
			}
		}
		return gorgonia.Nodes{g.apply(d, dy, in[1]), g.noGrad(name+".dend", 1, 1, dy)}, g.err
	}
	return g.apply(o, x.node, end.node)
}

// causal is attention in which a row sees itself and the rows before it. Where end
// is given, q is the row that it names.
func (g *graph) causal(name string, q, k, v act, heads int, end ...act) act {
	in := append([]act{q, k, v}, end...)
	return g.step(name, q.rows, q.width, in, func(in []act) *gorgonia.Node {
		g.out.cost(2 * mm(q.rows, k.rows, q.width))
		g.out.heads(heads)
		return g.causalAttention(name, in, heads)
	})
}

// causalAttention goes row by row: each has keys of its own.
func (g *graph) causalAttention(name string, x []act, H int) *gorgonia.Node {
	f, rows, T, D := g.feed, x[0].rows, x[1].rows, x[0].width
	head, scale := D/H, float32(1/math.Sqrt(float64(D/H)))
	o := g.op(Spec{Kind: OpCausal, Name: name, Rows: rows, Width: D, Heads: H, Keys: T})
	var in gorgonia.Nodes
	for _, a := range x {
		o.spec.Indexed, in = append(o.spec.Indexed, a.clean), append(in, a.node)
	}
	// seen is the number of keys of a row of a slot.
	seen := func(v [][]float32, s, r int) int {
		if len(x) > 3 {
			return int(v[3][g.slotOf(x[3], s)]) + 1
		}
		return r + 1
	}
	o.run = func(out []float32, v [][]float32) {
		for s := range f.Slots {
			q, k, w := v[0][g.slotOf(x[0], s)*rows*D:], v[1][g.slotOf(x[1], s)*T*D:], v[2][g.slotOf(x[2], s)*T*D:]
			for r := range rows {
				kernel.Attention(out[(s*rows+r)*D:], D, q[r*D:], D, 1, k, D, w, D, seen(v, s, r), H, head, scale, nil, nil, &f.attn)
			}
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		d := g.op(Spec{Kind: OpCausalGrad, Name: name + ".grad", Rows: rows, Width: D, Heads: H, Keys: T})
		nq, nk := g.slots*rows*D, g.slots*T*D
		d.shape = tensor.Shape{nq + 2*nk}
		d.run = func(out []float32, v [][]float32) {
			clear(out)
			probs, y, dk, dv := f.buf(0, H*T), f.buf(1, D), f.buf(2, 2*T*D)[:T*D], f.buf(2, 2*T*D)[T*D:]
			dy := v[len(v)-1]
			for s := range f.Slots {
				k, w := v[1][s*T*D:], v[2][s*T*D:]
				for r := range rows {
					n, q, at := seen(v, s, r), v[0][(s*rows+r)*D:], (s*rows+r)*D
					kernel.Attention(y, D, q, D, 1, k, D, w, D, n, H, head, scale, nil, probs, &f.attn)
					kernel.AttentionGrad(out[at:], D, dk, D, dv, D, dy[at:], D, q, D, 1, k, D, w, D, n, H, head, scale, probs,
						nil, &f.attn)
					kernel.AddTo(out[nq+s*T*D:][:n*D], dk[:n*D])
					kernel.AddTo(out[nq+nk+s*T*D:][:n*D], dv[:n*D])
				}
			}
		}
		all := g.apply(d, append(append(gorgonia.Nodes{}, in...), dy)...)
		out := gorgonia.Nodes{g.part(name+".dq", all, 0, rows, D), g.part(name+".dk", all, nq, T, D),
			g.part(name+".dv", all, nq+nk, T, D)}
		if len(in) > 3 {
			out = append(out, g.noGrad(name+".dend", 1, 1, dy))
		}
		return out, g.err
	}
	return g.apply(o, in...)
}
