package vit

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// Encoder is the network that the families share: tokens and their positions,
// pre-norm blocks (Xiong et al. 2020, arXiv 2002.04745), a norm, pooling, and a
// classifier or a projection. A family is an Encoder with its switches set and its
// names; the zero values are those of a plain ViT.
type Encoder struct {
	Arch
	Names Names

	NoCls     bool      // no cls token
	Dist      bool      // a distillation token after it
	Registers int       // tokens that nothing reads, after these
	Positions Positions // what has a learned position
	Rope      float64   // base of the angles that queries and keys of patches are turned by, 0: they are not
	Relative  Relative  // whose table of biases attention adds to its scores

	NoPatchBias, NoQueryBias, NoKeyBias, NoValueBias, NoOutBias, NoMLPBias bool // maps without a bias

	PreNorm    bool // a norm of the tokens before the blocks
	QKNorm     bool // a norm of each head's queries and keys
	Gated      bool // the feed-forward layer is act(gate(x))·map(x)
	Scaled     bool // each branch is multiplied by a vector before it is added
	FinalNorm  bool // a norm of all rows after the blocks
	PooledNorm bool // a norm of the pooled row
	Pool       Pool
	Tanh       bool // a map of the pooled row and tanh after it (BERT's pooler)
	Projected  int  // width of a projection after that, 0 without one
	Bare       bool // without classes the outputs are the embedding itself; else there is always a classifier
}

// Positions says which tokens have a learned position.
type Positions int

// Which tokens have a learned position.
const (
	PositionsAll     Positions = iota // all but learned prompts
	PositionsLead                     // all but prompts and registers
	PositionsPatches                  // patches alone
	PositionsNone
)

// Relative says where the tables of relative position biases stand.
type Relative int

// Where a table of relative position biases stands.
const (
	RelativeNone  Relative = iota
	RelativeBlock          // one in every block
	RelativeOne            // one for all
)

var _ Architecture = Encoder{}

// Lead is the number of tokens before prompts and patches.
func (e Encoder) Lead() int {
	n := e.Registers
	if !e.NoCls {
		n++
	}
	if e.Dist {
		n++
	}
	return n
}

// Tokens is the length T of the sequence: lead, prompts, patches.
func (e Encoder) Tokens() int { return e.Lead() + e.Prompts + e.Patches() }

// table is the rows of the positions and how many of them are those of lead tokens.
func (e Encoder) table() (rows, lead int) {
	switch e.Positions {
	case PositionsAll:
		lead = e.Lead()
	case PositionsLead:
		lead = e.Lead() - e.Registers
	case PositionsNone:
		return 0, 0
	}
	return lead + e.Patches(), lead
}

// PositionLead is how many rows of the position table belong to tokens before the
// patches.
func (e Encoder) PositionLead() int { _, lead := e.table(); return lead }

// Outputs is the number of classes, or the width of the embedding.
func (e Encoder) Outputs() int {
	switch {
	case e.Classes > 0:
		return e.Classes
	case e.Projected > 0:
		return e.Projected
	}
	rows, width := e.pooledShape()
	return rows * width
}

// Check refuses shapes that no such network has.
func (e Encoder) Check() error {
	if e.Projected < 0 || e.Projected > 1<<20 {
		return fmt.Errorf("vit: the projection is %d wide", e.Projected)
	}
	a := e.Arch
	if e.Bare {
		a.Classes = max(1, a.Classes)
	}
	if err := a.Check(); err != nil {
		return err
	}
	switch {
	case e.Registers < 0 || e.Registers > 1<<12:
		return fmt.Errorf("vit: %d registers", e.Registers)
	case e.NoCls && (e.Pool == PoolCls || e.Pool == PoolBoth || e.Pool == PoolHeads):
		return fmt.Errorf("vit: without a cls token there is no row of it to read")
	case e.Pool == PoolHeads && !e.Dist:
		return fmt.Errorf("vit: two heads need a distillation token")
	case e.Rope > 0 && e.HeadDim()%4 != 0:
		return fmt.Errorf("vit: heads of %d values: turning them in two dimensions needs a multiple of 4", e.HeadDim())
	case e.Relative != RelativeNone && e.Lead() != 1:
		return fmt.Errorf("vit: relative position biases with %d tokens before the patches; they are made for 1", e.Lead())
	}
	return nil
}

// build is the forward: of the last block only those rows go past the keys and
// values that pooling reads.
func (e Encoder) build(g *graph) (logits, features act) {
	h := e.embedded(g)
	if e.PreNorm {
		h = g.normed("h.0", e.Names.Pre, h, e.Eps)
	}
	T := e.Tokens()
	g.out.read(e.live())
	for l := range e.Layers {
		lo, n := 0, T
		switch {
		case g.drawn > 0 && l == g.to-1:
			lo, n = drawnRows, g.drawn
		case l == e.Layers-1 || g.first && l == g.to-1:
			lo, n = e.live()
		}
		if e.Deep && l > 0 {
			h = g.replaced(at("deep", l), deepPrompts(l), h, e.Lead(), e.Prompts)
		}
		h = e.block(g, l, h, lo, n)
	}
	if e.FinalNorm {
		h = g.normed("f", e.Names.Final, h, e.Eps)
	}
	if e.Pool == PoolHeads {
		return e.twoHeads(g, h)
	}
	f := e.pooled(g, h)
	if e.PooledNorm {
		f = g.normed("pooled.normed", e.Names.Pooled, f, e.Eps)
	}
	if e.Tanh {
		f = g.mapped(Pooler, -1, e.Names.Pooler, "pooler", f, Tanh)
	}
	switch {
	case e.Classes == 0 && e.Projected == 0:
		return f, f
	case e.Classes == 0:
		return g.mapped(Classifier, -1, e.Names.Projection, "logits", f, NoAct), f
	case e.Projected > 0:
		f = g.mapped(Projection, -1, e.Names.Projection, "embedding", f, NoAct)
	}
	return g.mapped(Classifier, -1, e.Names.Classifier, "logits", f, NoAct), f
}

// embedded is the sequence of tokens, each with its position.
func (e Encoder) embedded(g *graph) act {
	name := "h.0"
	if e.PreNorm {
		name = "tokens"
	}
	P := e.Patches()
	cut := g.step("patches", P, e.PatchLen(), []act{g.pixels()}, func(in []act) *gorgonia.Node {
		return g.patches(in[0].node, e.Arch)
	})
	z, site := g.unperturbed(PatchEmbed, -1, e.Names.Patch, "patch_embed", cut, NoAct)
	h := g.step(name, e.Tokens(), e.Hidden, []act{z}, func(in []act) *gorgonia.Node {
		return g.embed(in[0], e.segments(), e.Tokens())
	})
	return g.noisy(site, h, e.Tokens()-P, P, NoAct)
}

// segments are the runs of rows of the sequence in their order; the last is that
// of the patches.
func (e Encoder) segments() []segment {
	table := e.Names.Positions
	rows, lead := e.table()
	if rows == 0 {
		table = ""
	}
	var s []segment
	at := 0
	add := func(token string, rows int) {
		x := segment{token: token, rows: rows, position: -1}
		if at += rows; at <= lead {
			x.position = at - rows
		}
		s = append(s, x)
	}
	if !e.NoCls {
		add(e.Names.Cls, 1)
	}
	if e.Dist {
		add(e.Names.Dist, 1)
	}
	if e.Registers > 0 {
		add(e.Names.Registers, e.Registers)
	}
	if e.Prompts > 0 {
		s = append(s, segment{token: namePrompts, rows: e.Prompts, position: -1})
	}
	p := segment{rows: e.Patches(), position: lead}
	if table == "" {
		p.position = -1
	}
	s = append(s, p)
	for i := range s {
		if s[i].position >= 0 {
			s[i].table = table
		}
	}
	return s
}
