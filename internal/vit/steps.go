package vit

import (
	"fmt"
	"math"

	"github.com/flops-vit/flops/forward"
	"gorgonia.org/gorgonia"
)

// What the families build their forwards of. Each is one activation under its
// name, stored and not computed where a suffix finds it unchanged.

// site is the linear map of a site and its number, made when the outline meets
// it first.
func (g *graph) site(kind string, block int, base string) (int, *linear) {
	key := siteKey{kind, block}
	i, ok := g.net.bySite[key]
	if !ok {
		name := kind
		if block >= 0 {
			name = fmt.Sprintf("block.%d.%s", block, kind)
		}
		s := forward.Site{Name: name, Kind: kind, Block: block, Weight: g.net.Index(base + ".weight"),
			Bias: g.net.Index(base + ".bias")}
		if s.Weight < 0 {
			panic("vit: no parameter " + base + ".weight") // a family that maps with what it does not list
		}
		l := newLinear(g.net.ofSite(s))
		l.spare = g.net.spare
		s.In, s.Out = l.in, l.out
		i = len(g.net.sites)
		g.net.sites, g.net.linears, g.net.bySite[key] = append(g.net.sites, s), append(g.net.linears, l), i
	}
	return i, g.net.linears[i]
}

// mapped is the linear map of a site of x, with the activation function after
// it, res added where it is given, and the site's noise where it is noisy.
func (g *graph) mapped(kind string, block int, base, name string, x act, f Act, res ...act) act {
	i, _ := g.site(kind, block, base)
	g.out.function(i, f)
	noisy := (g.noise[i] || g.noise[g.net.biasSite(i)]) && !g.dead
	if f == NoAct || !noisy && (!g.split || g.dead) {
		y, i := g.unperturbed(kind, block, base, name, x, f, res...)
		if g.dead {
			return y
		}
		return g.noisy(i, y, 0, y.rows, NoAct)
	}
	// The value before the function stands apart where it is perturbed or kept.
	z, i := g.unperturbed(kind, block, base, "pre."+name, x, NoAct)
	if noisy {
		return g.noisy(i, z, 0, z.rows, f)
	}
	return g.step(name, z.rows, z.width, []act{z}, func(in []act) *gorgonia.Node {
		g.out.activated(i, z, f, g.dead)
		return g.activation(g.net.sites[i].Name+g.mark, in[0], f)
	})
}

// unperturbed is the linear map of a site without its noise.
func (g *graph) unperturbed(kind string, block int, base, name string, x act, f Act, res ...act) (act, int) {
	i, l := g.site(kind, block, base)
	op := g.net.sites[i].Name + g.mark
	return g.step(name, x.rows, l.out, append([]act{x}, res...), func(in []act) *gorgonia.Node {
		g.out.site(i, x, l, g.dead)
		var r *act
		if len(in) > 1 {
			r = &in[1]
		}
		return g.linear(op, l, in[0], x.rows, f, r)
	}), i
}

// noisy adds the noise of a site, and of its bias alone, to rows offset to
// offset+live-1 of an activation, and applies f, where the site is noisy.
func (g *graph) noisy(site int, a act, offset, live int, f Act) act {
	if bias := g.net.biasSite(site); g.noise[bias] {
		if !g.noise[site] {
			return g.moved(bias, a, offset, live, f)
		}
		a = g.moved(bias, a, offset, live, NoAct)
	}
	if !g.noise[site] {
		return a
	}
	a = g.read(a)
	if g.err != nil {
		return a
	}
	return act{name: a.name + "+", rows: a.rows, width: a.width,
		node: g.perturb(site, a, a.rows, a.width, offset, live, f)}
}

// deadInput says that an activation is what a site's map would read of rows
// that nothing reads.
func (g *graph) deadInput(kind string, block int, x act) {
	i, _ := g.site(kind, block, "")
	g.out.deadInput(i, x)
}

// normed is the layer norm of every row.
func (g *graph) normed(name, base string, x act, eps float64) act {
	op := base + g.mark
	if site := g.net.directSite(base + ".weight"); g.noise[site] && !g.dead {
		return g.shaken(site, name, base, x, x.rows, x.width, eps)
	}
	return g.step(name, x.rows, x.width, []act{x},
		func(in []act) *gorgonia.Node { return g.norm(op, base, in[0], x.rows, x.width, float32(eps)) })
}

// drawnRows stands for the first of some rows that are drawn anew for every run.
const drawnRows = -1

// taken is n rows of an activation from row lo on, or those that are drawn.
func (g *graph) taken(name string, x act, lo, n int) act {
	if lo == drawnRows {
		return g.step(name, n, x.width, []act{x}, func(in []act) *gorgonia.Node { return g.gather(name, in[0], n) })
	}
	return g.step(name, n, x.width, []act{x}, func(in []act) *gorgonia.Node { return g.take(name, in[0], lo, n) })
}

// stopped is x, of which no derivative goes on.
func (g *graph) stopped(name string, x act) act {
	y := g.taken(name, x, 0, x.rows)
	if y.node != nil && y.node.Op() != nil {
		y.node.Op().(*FusedOp).grad = nil
	}
	return y
}

// replaced is x with a learned parameter in the place of n rows from lo on.
func (g *graph) replaced(name, param string, x act, lo, n int) act {
	y := g.step(name, x.rows, x.width, []act{x}, func(in []act) *gorgonia.Node {
		return g.replace(name, g.net.param(param), in[0], lo, n)
	})
	return g.noisy(g.net.directSite(param), y, lo, n, NoAct)
}

// headNormed is the layer norm of each head's share of every row.
func (g *graph) headNormed(name, op, base string, x act, heads int, eps float64) act {
	if site := g.net.directSite(base + ".weight"); g.noise[site] && !g.dead {
		return g.shaken(site, name, base, x, x.rows*heads, x.width/heads, eps)
	}
	return g.step(name, x.rows, x.width, []act{x}, func(in []act) *gorgonia.Node {
		return g.norm(op, base, in[0], x.rows*heads, x.width/heads, float32(eps))
	})
}

// attended is softmax(q kᵀ/√d + bias) v of every head, for the rows of q.
func (g *graph) attended(name, op string, q, k, v act, heads int, bias relative, half bool) act {
	return g.step(name, q.rows, q.width, []act{q, k, v}, func(in []act) *gorgonia.Node {
		g.out.cost(2 * mm(q.rows, k.rows, q.width))
		g.out.heads(heads)
		if bias.table == "" { // whose derivative knows no bias
			g.out.attends(name, q, k, v, heads, g.dead)
		}
		scale := float32(1 / math.Sqrt(float64(q.width/heads)))
		return g.attention(op, in[0], in[1], in[2], heads, scale, bias, half)
	})
}

// scaled is res + s∘x, s a vector.
func (g *graph) scaled(name, scale string, x, res act) act {
	return g.step(name, x.rows, x.width, []act{x, res}, func(in []act) *gorgonia.Node {
		return g.scaleRows(name, g.net.param(scale), in[0], in[1])
	})
}

// product is the product of two activations, value by value.
func (g *graph) product(name string, x, y act) act {
	return g.step(name, x.rows, x.width, []act{x, y}, func(in []act) *gorgonia.Node {
		return g.multiply(name, in[0], in[1])
	})
}

// mean is the mean of two activations.
func (g *graph) mean(name string, x, y act) act {
	return g.step(name, x.rows, x.width, []act{x, y}, func(in []act) *gorgonia.Node {
		return g.halfSum(name, in[0], in[1])
	})
}

// pooled is one row of all.
func (g *graph) pooled(name string, x act, p pool) act {
	width := x.width
	if p.first {
		width *= 2
	}
	return g.step(name, 1, width, []act{x}, func(in []act) *gorgonia.Node { return g.poolRows(name, in[0], p) })
}

// repeated is a learned row, the same for every image.
func (g *graph) repeated(name, param string, width int) act {
	return g.step(name, 1, width, nil, func([]act) *gorgonia.Node { return g.repeat(name, g.net.param(param), width) })
}

// turned is the rows of patches turned by their places.
func (g *graph) turned(name string, x act, r rope) act {
	return g.step(name, x.rows, x.width, []act{x}, func(in []act) *gorgonia.Node { return g.turn(name, in[0], r) })
}
