package vit

import "fmt"

// at names an activation of a block.
func at(name string, block int) string { return fmt.Sprintf("%s.%d", name, block) }

// branch builds the two branches of one block under names of its own, once for the
// rows that are read, and once for those that are not.
type branch struct {
	Encoder
	g *graph
	l int
	n BlockNames
	// suffix ends the names of activations.
	suffix string
}

func (b branch) name(s string) string { return at(s+b.suffix, b.l) }

func (b branch) project(kind, name string, x act, f Act, res ...act) act {
	return b.g.mapped(kind, b.l, b.n.Maps[kind], b.name(name), x, f, res...)
}

// add is res + scale∘map(x), where branches are scaled, and else res + map(x).
func (b branch) add(kind, name, scale string, x, res act) act {
	if b.g.straight {
		x = b.g.stopped("stop."+name, x)
	}
	if !b.Scaled {
		return b.g.mapped(kind, b.l, b.n.Maps[kind], name, x, NoAct, res)
	}
	y := b.g.mapped(kind, b.l, b.n.Maps[kind], "pre."+name, x, NoAct)
	return b.g.scaled(name, scale, y, res)
}

// turned prepares the rows from lo on of queries or keys.
func (b branch) turned(name, norm string, x act, lo int) act {
	if b.QKNorm {
		x = b.g.headNormed(b.name(name+".normed"), norm+b.suffix, norm, x, b.Heads, b.Eps)
	}
	if b.Rope == 0 {
		return x
	}
	first := max(0, b.Tokens()-b.Patches()-lo) // row of the first patch
	if first >= x.rows {
		return x
	}
	h, w := b.Grid()
	return b.g.turned(b.name(name+".turned"), x, rope{first, h, w, b.Heads, b.Rope})
}

// attended is attention for rows from lo on.
func (b branch) attended(q, k, v act, lo int) act {
	bias := relative{}
	if b.Relative != RelativeNone {
		table := b.Names.Relative
		if b.Relative == RelativeBlock {
			table = b.n.Relative
		}
		h, w := b.Grid()
		bias = relative{table, lo, h, w, distances(lo, q.rows, b.Tokens(), h, w)}
	}
	half := b.g.net.attendsInHalf(b.l)
	return b.g.attended(b.name("a"), at("attention"+b.suffix, b.l), q, k, v, b.Heads, bias, half)
}

// mixed is the feed-forward layer up to its last map.
func (b branch) mixed(x act) act {
	if !b.Gated {
		return b.project(MLPIn, "g", x, b.act())
	}
	gate := b.project(MLPGate, "gate", x, b.act())
	up := b.project(MLPIn, "up", x, NoAct)
	return b.g.product(b.name("g"), gate, up)
}

// block builds one block: h += attention(norm(h)), h += mlp(norm(h)). Only n rows
// of its output from lo on are ever read, and so nothing else is computed after its
// keys and values.
func (e Encoder) block(g *graph, l int, h act, lo, n int) act {
	b := branch{Encoder: e, g: g, l: l, n: e.Names.Block(l)}
	T := e.Tokens()
	x1 := g.normed(b.name("x1"), b.n.Norm1, h, e.Eps)
	var q act
	if lo != drawnRows {
		q = b.query(x1, lo, n)
	}
	k := b.turned("k", b.n.KeyNorm, b.project(Key, "k", x1, NoAct), 0)
	v := b.project(Value, "v", x1, NoAct)
	if lo == drawnRows {
		return b.drawn(x1, k, v, h, n)
	}
	out := b.after(q, k, v, h, lo, n)
	if n < T {
		e.deadRows(g, l, x1, h, k, v)
	}
	return g.boundary(out)
}

// drawn builds the rows of a block that the outputs are made of, and n that are drawn
// beside them, whose derivative goes to the parameters alone where the graph is asked
// for that by what it begins with.
func (b branch) drawn(x1, k, v, h act, n int) act {
	lo, live := b.live()
	b.suffix, b.g.mark = rowMark, rowMark
	b.after(b.query(x1, lo, live), k, v, h, lo, live)
	b.suffix, b.g.mark = "", ""
	if b.g.parted {
		x1, k, v, h = b.g.apart(x1), b.g.apart(k), b.g.apart(v), b.g.apart(h)
	}
	return b.g.boundary(b.after(b.query(x1, drawnRows, n), k, v, h, drawnRows, n))
}

// rowMark ends the names of what is computed of the rows that the outputs are made of
// where others stand beside them.
const rowMark = ".row"

// rows are n rows of an activation of the block from row lo on.
func (b branch) rows(name string, x act, lo, n int) act {
	if n == b.Tokens() {
		return x
	}
	return b.g.taken(b.name(name), x, lo, n)
}

// query are the queries of n rows from lo on.
func (b branch) query(x1 act, lo, n int) act {
	return b.turned("q", b.n.QueryNorm, b.project(Query, "q", b.rows("xq", x1, lo, n), NoAct), lo)
}

// after is what a block makes of queries, keys and values: n rows of its output from lo
// on.
func (b branch) after(q, k, v, h act, lo, n int) act {
	h1 := b.add(AttnOut, b.name("h1"), b.n.Scale1, b.attended(q, k, v, lo), b.rows("hr", h, lo, n))
	x2 := b.g.normed(b.name("x2"), b.n.Norm2, h1, b.Eps)
	return b.add(MLPOut, at("h"+b.suffix, b.l+1), b.n.Scale2, b.mixed(x2), h1)
}

// deadRows computes the rows of a block that never reach the loss. They are the
// inputs x that the noise of unmasked sites is paired with (the released code's
// behaviour, structural_mask: false).
func (e Encoder) deadRows(g *graph, l int, x1, h, k, v act) {
	if !g.beginDead() {
		return
	}
	defer g.endDead()
	b := branch{Encoder: e, g: g, l: l, n: e.Names.Block(l), suffix: g.mark}
	q := b.query(x1, 0, e.Tokens())
	h1 := b.add(AttnOut, b.name("h1"), b.n.Scale1, b.attended(q, k, v, 0), h)
	x2 := g.normed(b.name("x2"), b.n.Norm2, h1, e.Eps)
	g.deadInput(MLPOut, l, b.mixed(x2))
}

// Distances is, for the rows of an OpBias and all keys, the row of the table that
// attention adds, −1 where it adds none: (dy+h−1)(2w−1)+(dx+w−1) between patches,
// and the last three rows from cls to a token, from a token to cls, and of cls to
// itself (BEiT).
func Distances(s Spec) []int32 { return distances(s.Offset, s.InRows, s.Keys, s.High, s.Wide) }

func distances(lo, rows, T, h, w int) []int32 {
	first := T - h*w
	last := (2*h-1)*(2*w-1) + 3
	index := make([]int32, rows*T)
	for i := range rows {
		for j := range T {
			r, at := lo+i, int32(-1)
			switch {
			case r == 0 && j == 0:
				at = int32(last - 1)
			case r == 0 && j >= first:
				at = int32(last - 3)
			case j == 0 && r >= first:
				at = int32(last - 2)
			case r >= first && j >= first:
				p, q := r-first, j-first
				at = int32((p/w-q/w+h-1)*(2*w-1) + p%w - q%w + w - 1)
			}
			index[i*T+j] = at
		}
	}
	return index
}
