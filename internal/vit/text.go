package vit

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// Text is a text tower: that of CLIP (Radford et al. 2021, arXiv 2103.00020), where
// a token sees those before it alone and the end of text is read, and that of SigLIP
// (Zhai et al. 2023, arXiv 2303.15343), where all see all and the last is read. Its
// "image" is the ids of a text, Context numbers. An id below 0 is a row of the
// learned context: −1 the first, −2 the second.
type Text struct {
	Context    int // ids of a text
	Vocabulary int // ids are below
	Hidden     int
	Layers     int
	Heads      int
	MLP        int
	Eps        float64
	Act        Act
	Causal     bool // a row attends to itself and those before it
	End        End
	EOS        int  // id of the end of text, for EndFirst
	Projected  int  // width of the projection, 0 without one
	Biased     bool // the projection has a bias
	Learned    int  // rows of the learned context, 0 without one
	Names      TextNames
}

// End says which row of a text is read.
type End int

// The rules of Hugging Face's towers. Where the id is not there, the first row is
// read, as there.
const (
	EndLargest End = iota // the first of the largest id (OpenAI's)
	EndFirst              // the first of EOS
	EndLast               // the last, padding or not
)

// TextNames are the parameters of a text tower in files.
type TextNames struct {
	Tokens, Positions, Final, Projection string
	Block                                func(l int) TextBlock
}

// TextBlock are the parameters of a block: its norms, and its maps by kind of site.
type TextBlock struct {
	Norm1, Norm2 string
	Maps         map[string]string
}

// ContextName is the parameter of the learned context, Learned×Hidden.
const ContextName = "prompt.context"

var _ Architecture = Text{}

// HFText are the names of transformers' towers; projection is text_projection in a
// CLIPModel and text_model.head in a SiglipModel.
func HFText(projection string) TextNames {
	const p = "text_model."
	return TextNames{Tokens: p + "embeddings.token_embedding.weight",
		Positions: p + "embeddings.position_embedding.weight", Final: p + "final_layer_norm", Projection: projection,
		Block: func(l int) TextBlock {
			p := fmt.Sprintf(p+"encoder.layers.%d.", l)
			return TextBlock{Norm1: p + "layer_norm1", Norm2: p + "layer_norm2", Maps: map[string]string{
				Query: p + "self_attn.q_proj", Key: p + "self_attn.k_proj", Value: p + "self_attn.v_proj",
				AttnOut: p + "self_attn.out_proj", MLPIn: p + "mlp.fc1", MLPOut: p + "mlp.fc2"}}
		}}
}

// Check refuses shapes that are no text tower.
func (t Text) Check() error {
	for _, v := range []struct {
		name string
		v    int
	}{{"context", t.Context}, {"vocabulary", t.Vocabulary}, {"hidden size", t.Hidden}, {"layers", t.Layers},
		{"heads", t.Heads}, {"mlp size", t.MLP}, {"projection", max(1, t.Projected)}, {"context rows", max(1, t.Learned)}} {
		if v.v < 1 || v.v > 1<<20 {
			return fmt.Errorf("vit: %s of a text tower is %d", v.name, v.v)
		}
	}
	if t.Hidden%t.Heads != 0 {
		return fmt.Errorf("vit: hidden size %d is not a multiple of %d heads", t.Hidden, t.Heads)
	}
	if t.Context < 2 || t.Context > 1<<12 || t.Layers > 500 {
		return fmt.Errorf("vit: texts of %d ids in %d layers are more or less than this tool is made for", t.Context,
			t.Layers)
	}
	return nil
}

// Input is the shape of a text: its ids.
func (t Text) Input() (channels, height, width int) { return t.Context, 1, 1 }

// Outputs is the width of the embedding.
func (t Text) Outputs() int {
	if t.Projected > 0 {
		return t.Projected
	}
	return t.Hidden
}

// Params lists the parameters in the order of a forward.
func (t Text) Params() []ParamSpec {
	p, D := paramList{block: -1}, t.Hidden
	p.add(t.Names.Tokens, "token", smallStd, t.Vocabulary, D)
	p.add(t.Names.Positions, "position", smallStd, t.Context, D)
	if t.Learned > 0 {
		p.add(ContextName, "prompt", smallStd, t.Learned, D)
	}
	for l := range t.Layers {
		p.block = l
		b := t.Names.Block(l)
		for _, kind := range textKinds {
			out, in := D, D
			switch kind {
			case MLPIn:
				out = t.MLP
			case MLPOut:
				in = t.MLP
			}
			p.linear(b.Maps[kind], true, out, in)
		}
		p.norm(b.Norm1, D)
		p.norm(b.Norm2, D)
	}
	p.block = -1
	p.norm(t.Names.Final, D)
	if t.Projected > 0 {
		p.linear(t.Names.Projection, t.Biased, t.Projected, D)
	}
	return p.specs
}

var textKinds = []string{Query, Key, Value, AttnOut, MLPIn, MLPOut}

// build is the forward: of the last block only the row that is read goes past the
// keys and values.
func (t Text) build(g *graph) (logits, features act) {
	ids := g.pixels()
	h := g.step("h.0", t.Context, t.Hidden, []act{ids}, func(in []act) *gorgonia.Node { return g.texts(in[0].node, t) })
	end := g.step("end", 1, 1, []act{ids}, func(in []act) *gorgonia.Node { return g.ends(in[0].node, t) })
	for l := range t.Layers {
		h = t.block(g, l, h, end, l == t.Layers-1)
	}
	f := g.normed("f", t.Names.Final, h, t.Eps)
	if t.Projected == 0 {
		return f, f
	}
	return g.mapped(Classifier, -1, t.Names.Projection, "logits", f, NoAct), f
}

// block is one block; the last goes on with the row at end alone.
func (t Text) block(g *graph, l int, h, end act, last bool) act {
	n := t.Names.Block(l)
	nm := func(s string) string { return at(s, l) }
	project := func(kind, name string, x act, f Act, res ...act) act {
		return g.mapped(kind, l, n.Maps[kind], name, x, f, res...)
	}
	row := func(name string, x act) act {
		if !last {
			return x
		}
		return g.picked(nm(name), x, end)
	}
	x1 := g.normed(nm("x1"), n.Norm1, h, t.Eps)
	q := project(Query, nm("q"), row("xq", x1), NoAct)
	k, v := project(Key, nm("k"), x1, NoAct), project(Value, nm("v"), x1, NoAct)
	var a act
	switch {
	case !t.Causal:
		a = g.attended(nm("a"), nm("attention"), q, k, v, t.Heads, relative{}, false)
	case last:
		a = g.causal(nm("a"), q, k, v, t.Heads, end)
	default:
		a = g.causal(nm("a"), q, k, v, t.Heads)
	}
	h1 := project(AttnOut, nm("h1"), a, NoAct, row("hr", h))
	x2 := g.normed(nm("x2"), n.Norm2, h1, t.Eps)
	return g.boundary(project(MLPOut, at("h", l+1), project(MLPIn, nm("g"), x2, t.Act), NoAct, h1))
}
