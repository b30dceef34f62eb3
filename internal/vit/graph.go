package vit

import (
	"fmt"

	"github.com/flops-vit/flops/internal/query"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// act is an activation while a graph is built: a node, or (clean) the stored
// activation of the clean pass, which becomes a node only where it is read.
type act struct {
	node        *gorgonia.Node
	clean       bool
	name        string
	rows, width int
}

// graph is one Gorgonia graph over a fixed number of slots, each of which
// evaluates one image.
type graph struct {
	net    *Net
	feed   *Feed
	slots  int
	suffix bool // read what carries no noise from the clean pass
	split  bool // keep the value before every GELU
	full   bool // also compute the dead rows of the last block, as inputs of unmasked sites
	from   int  // first block; above 0 the graph starts at what goes into that block, not at the images

	g      *gorgonia.ExprGraph
	images *gorgonia.Node            // slots × C·H·W; from > 0: slots × what goes into block from
	params map[string]*gorgonia.Node // by name
	taps   map[string]act            // computed activations by name
	cleans map[string]act            // stored activations read, by name
	logits *gorgonia.Node            // slots × Classes
	losses *gorgonia.Node            // slots
	err    error
	zero   []float32
}

func newGraph(n *Net, slots int) *graph {
	return &graph{net: n, feed: newFeed(slots, len(n.sites)), slots: slots, g: gorgonia.NewGraph(),
		params: map[string]*gorgonia.Node{}, taps: map[string]act{}, cleans: map[string]act{}}
}

// op starts an op whose output is (slots·Rows)×Width.
func (g *graph) op(s Spec) *FusedOp {
	return &FusedOp{spec: s, feed: g.feed, shape: tensor.Shape{g.slots * s.Rows, s.Width}}
}

// apply adds an op; the first error sticks and stops the building.
func (g *graph) apply(o *FusedOp, in ...*gorgonia.Node) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	var n *gorgonia.Node
	n, g.err = apply(o, in...)
	return n
}

// param is the node of a parameter; its value is the parameter's own memory.
func (g *graph) param(p *query.Param) *gorgonia.Node {
	n, ok := g.params[p.Name]
	if !ok {
		n = g.input(p.Name, p.Data, p.Shape...)
		g.params[p.Name] = n
	}
	return n
}

func (g *graph) input(name string, data []float32, shape ...int) *gorgonia.Node {
	v := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	return gorgonia.NewTensor(g.g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(v))
}

func (g *graph) zeros(n int) []float32 {
	if len(g.zero) < n {
		g.zero = make([]float32, n)
	}
	return g.zero[:n]
}

// read makes sure that an activation has a node: a clean one becomes an input
// over the stored activations of the whole batch.
func (g *graph) read(a act) act {
	if a.node != nil || g.err != nil {
		return a
	}
	if c, ok := g.cleans[a.name]; ok {
		return c
	}
	data := g.net.store.tensor(a.name, a.rows, a.width)
	a.node = g.input("clean."+a.name, data, len(data)/a.width, a.width)
	g.cleans[a.name] = a
	return a
}

// step is one activation: stored and clean where all that it depends on is, and
// otherwise computed by build from its inputs.
func (g *graph) step(name string, rows, width int, in []act, build func(in []act) *gorgonia.Node) act {
	a := act{name: name, rows: rows, width: width, clean: g.suffix}
	for _, x := range in {
		a.clean = a.clean && x.clean
	}
	if a.clean || g.err != nil {
		return a
	}
	for i := range in {
		in[i] = g.read(in[i])
	}
	a.node = build(in)
	g.taps[name] = a
	return a
}

// noisy adds the noise of a site to an activation.
func (g *graph) noisy(site int, a act, offset, live int, gelu bool) act {
	a = g.read(a)
	if g.err != nil {
		return a
	}
	return act{name: a.name + "+", rows: a.rows, width: a.width, node: g.perturb(site, a, a.rows, a.width, offset, live, gelu)}
}

// network builds the forward from the images to the losses, with noise at the
// sites that noise names.
func (g *graph) network(noise map[int]bool) error {
	a := g.net.Arch
	D := a.Hidden
	h := g.start(noise)
	for l := g.from; l < a.Layers && g.err == nil; l++ {
		h = g.block(l, h, noise)
	}
	f := g.step("f", 1, D, []act{h}, func(in []act) *gorgonia.Node { return g.norm(nameNorm, in[0], 1) })
	last := len(g.net.sites) - 1
	y := g.step("logits", 1, a.Classes, []act{f}, func(in []act) *gorgonia.Node {
		return g.linear(Classifier, g.net.linears[last], in[0], 1, false, nil)
	})
	if noise[last] {
		y = g.noisy(last, y, 0, 1, false)
	}
	if g.err == nil && y.node == nil {
		return fmt.Errorf("vit: a suffix with no noisy site")
	}
	g.logits = y.node
	if g.err == nil {
		g.losses = g.loss(y.node)
	}
	return g.err
}

// start is what goes into the first block that the graph computes.
func (g *graph) start(noise map[int]bool) act {
	a := g.net.Arch
	T, D := a.Tokens(), a.Hidden
	if g.from > 0 {
		rows := a.blockRows(g.from - 1)
		g.images = g.input("start", make([]float32, g.slots*rows*D), g.slots*rows, D)
		return act{name: at("h", g.from), rows: rows, width: D, node: g.images}
	}
	x := act{name: "images", clean: g.suffix}
	if !g.suffix {
		g.images = g.input("images", make([]float32, g.slots*a.Chans*a.Image*a.Image), g.slots, a.Chans*a.Image*a.Image)
		x.node = g.images
	}
	cut := g.step("patches", a.Patches(), a.PatchLen(), []act{x}, func(in []act) *gorgonia.Node { return g.patches(in[0].node) })
	z := g.step("patch_embed", a.Patches(), D, []act{cut}, func(in []act) *gorgonia.Node {
		return g.linear("patch_embed", g.net.linears[0], in[0], a.Patches(), false, nil)
	})
	h := g.step("h.0", T, D, []act{z}, func(in []act) *gorgonia.Node { return g.embed(in[0]) })
	if noise[0] {
		h = g.noisy(0, h, T-a.Patches(), a.Patches(), false)
	}
	return h
}

// block builds one encoder block. In the last one only the cls row goes past
// the keys and values.
func (g *graph) block(l int, h act, noise map[int]bool) act {
	a := g.net.Arch
	T, D := a.Tokens(), a.Hidden
	rows := a.blockRows(l)
	nm := func(s string) string { return at(s, l) }
	lin := func(kind int) *linear { return g.net.linears[siteIndex(l, kind)] }
	site := func(kind int) string { return g.net.sites[siteIndex(l, kind)].Name }
	add := func(kind int, x act, live int) act {
		if !noise[siteIndex(l, kind)] {
			return x
		}
		return g.noisy(siteIndex(l, kind), x, 0, live, false)
	}
	first := func(name string, x act) act {
		if rows == T {
			return x
		}
		return g.step(name, 1, x.width, []act{x}, func(in []act) *gorgonia.Node { return g.cls(name, in[0], T, x.width) })
	}
	project := func(name string, kind int, x act, r int) act {
		y := g.step(nm(name), r, D, []act{x}, func(in []act) *gorgonia.Node {
			return g.linear(site(kind), lin(kind), in[0], r, false, nil)
		})
		return add(kind, y, r)
	}
	x1 := g.step(nm("x1"), T, D, []act{h}, func(in []act) *gorgonia.Node {
		return g.norm(blockPrefix(l)+"layernorm_before", in[0], T)
	})
	q := project("q", 0, first(nm("xq"), x1), rows)
	k, v := project("k", 1, x1, T), project("v", 2, x1, T)
	att := g.step(nm("a"), rows, D, []act{q, k, v}, func(in []act) *gorgonia.Node {
		return g.attention(nm("attention"), in[0], in[1], in[2], rows)
	})
	h1 := g.step(nm("h1"), rows, D, []act{att, first(nm("hr"), h)}, func(in []act) *gorgonia.Node {
		return g.linear(site(3), lin(3), in[0], rows, false, &in[1])
	})
	h1 = add(3, h1, rows)
	x2 := g.step(nm("x2"), rows, D, []act{h1}, func(in []act) *gorgonia.Node {
		return g.norm(blockPrefix(l)+"layernorm_after", in[0], rows)
	})
	mlp := g.mlp(l, x2, rows, noise)
	out := g.step(at("h", l+1), rows, D, []act{mlp, h1}, func(in []act) *gorgonia.Node {
		return g.linear(site(5), lin(5), in[0], rows, false, &in[1])
	})
	if g.full && rows != T {
		g.deadRows(l, x1, h, k, v)
	}
	return add(5, out, rows)
}

// mlp is GELU(x W₁ᵀ + b₁), with the value before the GELU apart where it is
// perturbed or kept.
func (g *graph) mlp(l int, x act, rows int, noise map[int]bool) act {
	site := siteIndex(l, 4)
	lin, name, M := g.net.linears[site], g.net.sites[site].Name, g.net.Arch.MLP
	zn, gn := at("z", l), at("g", l)
	if !noise[site] && !g.split {
		return g.step(gn, rows, M, []act{x}, func(in []act) *gorgonia.Node { return g.linear(name, lin, in[0], rows, true, nil) })
	}
	z := g.step(zn, rows, M, []act{x}, func(in []act) *gorgonia.Node { return g.linear(name, lin, in[0], rows, false, nil) })
	if noise[site] {
		return g.noisy(site, z, 0, rows, true)
	}
	return g.step(gn, rows, M, []act{z}, func(in []act) *gorgonia.Node { return g.gelu("gelu."+name, in[0], rows, M) })
}

// deadRows computes the rows of the last block that never reach the loss. They
// are the inputs x that the noise of unmasked sites is paired with (the
// released code's behaviour, structural_mask: false).
func (g *graph) deadRows(l int, x1, h, k, v act) {
	a := g.net.Arch
	T, D := a.Tokens(), a.Hidden
	s := func(kind int) (*linear, string) {
		i := siteIndex(l, kind)
		return g.net.linears[i], g.net.sites[i].Name + ".full"
	}
	run := func(name string, width int, in []act, build func(in []act) *gorgonia.Node) act {
		return g.step(at(name+".full", l), T, width, in, build)
	}
	project := func(name string, kind int, x act, gelu bool, res ...act) act {
		lin, ln := s(kind)
		return run(name, lin.out, append([]act{x}, res...), func(in []act) *gorgonia.Node {
			if len(in) > 1 {
				return g.linear(ln, lin, in[0], T, gelu, &in[1])
			}
			return g.linear(ln, lin, in[0], T, gelu, nil)
		})
	}
	q := project("q", 0, x1, false)
	att := run("a", D, []act{q, k, v}, func(in []act) *gorgonia.Node {
		return g.attention(at("attention.full", l), in[0], in[1], in[2], T)
	})
	h1 := project("h1", 3, att, false, h)
	x2 := run("x2", D, []act{h1}, func(in []act) *gorgonia.Node {
		return g.norm(blockPrefix(l)+"layernorm_after", in[0], T)
	})
	project("g", 4, x2, true)
}

// at names an activation of a block.
func at(name string, block int) string { return fmt.Sprintf("%s.%d", name, block) }
