package vit

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// blockKinds are the six sites of a block in their order.
var blockKinds = []string{Query, Key, Value, AttnOut, MLPIn, MLPOut}

// blockNames are the parameters of a block: its norms, and its maps in the order
// of blockKinds.
type blockNames struct {
	norm1, norm2 string
	maps         [6]string
}

// encoder builds the pre-norm blocks that the families share (Xiong et al. 2020,
// arXiv 2002.04745): h += attention(norm(h)), h += mlp(norm(h)).
type encoder struct {
	Arch
	act Act // between the two maps of the mlp
}

// at names an activation of a block.
func at(name string, block int) string { return fmt.Sprintf("%s.%d", name, block) }

// block builds one block. Where first, only the first row of its output is ever
// read, and so nothing else is computed after its keys and values.
func (e encoder) block(g *graph, l int, n blockNames, h act, first bool) act {
	T := e.Tokens()
	nm := func(s string) string { return at(s, l) }
	project := func(kind int, name string, x act, act Act, res ...act) act {
		return g.mapped(blockKinds[kind], l, n.maps[kind], nm(name), x, act, res...)
	}
	row := func(name string, x act) act {
		if !first || T == 1 {
			return x
		}
		return g.first(nm(name), x)
	}
	x1 := g.normed(nm("x1"), n.norm1, h, e.Eps)
	q := project(0, "q", row("xq", x1), NoAct)
	k, v := project(1, "k", x1, NoAct), project(2, "v", x1, NoAct)
	att := g.attended(nm("a"), nm("attention"), q, k, v, e.Heads)
	h1 := project(3, "h1", att, NoAct, row("hr", h))
	x2 := g.normed(nm("x2"), n.norm2, h1, e.Eps)
	mlp := project(4, "g", x2, e.act)
	out := g.mapped(MLPOut, l, n.maps[5], at("h", l+1), mlp, NoAct, h1)
	if first && T > 1 {
		e.deadRows(g, l, n, x1, h, k, v)
	}
	return g.boundary(out)
}

// deadRows computes the rows of a block that never reach the loss. They are the
// inputs x that the noise of unmasked sites is paired with (the released code's
// behaviour, structural_mask: false).
func (e encoder) deadRows(g *graph, l int, n blockNames, x1, h, k, v act) {
	if !g.beginDead() {
		return
	}
	defer g.endDead()
	full := func(name string) string { return at(name+".full", l) }
	project := func(kind int, name string, x act, act Act, res ...act) act {
		return g.mapped(blockKinds[kind], l, n.maps[kind], full(name), x, act, res...)
	}
	q := project(0, "q", x1, NoAct)
	att := g.attended(full("a"), at("attention.full", l), q, k, v, e.Heads)
	h1 := project(3, "h1", att, NoAct, h)
	x2 := g.normed(full("x2"), n.norm2, h1, e.Eps)
	g.deadInput(MLPOut, l, project(4, "g", x2, e.act))
}

// tokenNames are the parameters of what goes into the first block.
type tokenNames struct{ cls, positions, prompts, patch string }

// embedded is the sequence of cls token, prompts and patches, each with its
// position, as an activation of that name.
func (g *graph) embedded(name string, a Arch, n tokenNames) act {
	P := a.Patches()
	cut := g.step("patches", P, a.PatchLen(), []act{g.pixels()},
		func(in []act) *gorgonia.Node { return g.patches(in[0].node, a) })
	z, site := g.unperturbed(PatchEmbed, -1, n.patch, "patch_embed", cut, NoAct)
	h := g.step(name, a.Tokens(), a.Hidden, []act{z}, func(in []act) *gorgonia.Node { return g.embed(in[0], a, n) })
	return g.noisy(site, h, a.Tokens()-P, P, NoAct)
}
