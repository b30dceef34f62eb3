package vit

import "fmt"

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
	// FixedPlaces says that tables of positions and of biases are not trained, since no
	// file could hold them.
	FixedPlaces bool

	NoPatchBias, NoQueryBias, NoKeyBias, NoValueBias, NoOutBias, NoMLPBias bool // maps without a bias

	PreNorm    bool // a norm of the tokens before the blocks
	QKNorm     bool // a norm of each head's queries and keys
	Gated      bool // the feed-forward layer is act(gate(x))·map(x)
	Scaled     bool // each branch is multiplied by a vector before it is added
	FinalNorm  bool // a norm of all rows after the blocks
	PooledNorm bool // a norm of the pooled row
	Pool       Pool
	PoolLead   bool // a mean or attention pooling reads the tokens before the patches too
	PoolMLP    int  // width of the feed-forward layer of attention pooling, 0: that of the blocks
	Tanh       bool // a map of the pooled row and tanh after it (BERT's pooler)
	Projected  int  // width of a projection after that, 0 without one
	Bare       bool // without classes the outputs are the embedding itself; else there is always a classifier
}

// Relative says where the tables of relative position biases stand.
type Relative int

// Where a table of relative position biases stands.
const (
	RelativeNone  Relative = iota
	RelativeBlock          // one in every block
	RelativeOne            // one for all
)

var _ Architecture = Encoder{}

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
	case e.PoolMLP < 0 || e.PoolMLP > 1<<20:
		return fmt.Errorf("vit: the feed-forward layer of the pooling is %d wide", e.PoolMLP)
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
	first, _ := e.live()
	g.out.reads(first, e.runs())
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
