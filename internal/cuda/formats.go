package cuda

import (
	"strings"

	"github.com/flops-vit/flops/internal/vit"
	"gorgonia.org/gorgonia"
)

// formats says in which precision each op of a program computes, and which values
// stand in bf16. Three rules, for every family of networks alike:
//
//   - What a perturbed site's output goes into is exact: floats, whose linear maps
//     see them as the sum of three bf16, so that rounding drowns nothing of what the
//     noise changes; weights are rounded, alike in every query. Suffixes are exact as a
//     whole, and in a forward that queries are compared with everything after its
//     sites.
//   - Elsewhere, with train.precision bf16, a value stands in bf16 where everything
//     that reads it takes it so. The stream of residuals stays in floats, but where no
//     query is compared with what comes of it: in evaluations.
//   - An op without a kernel in bf16 reads and writes floats, and its products round
//     them as TF32 does.
type formats struct {
	graph *gorgonia.ExprGraph
	split bool // exact ops see their floats as three bf16; else as they are
	fast  bool // the others compute in bf16 where they can
	exact map[*gorgonia.Node]bool
	half  map[*gorgonia.Node]bool
	float map[*gorgonia.Node]bool // kept as floats by whoever reads them after a run
	reads map[*gorgonia.Node][]reader
	noisy map[*gorgonia.Node]reader // attentions under noise that is made in them: its op, and which input it is

	stream bool                    // residuals stand in bf16
	joined map[*gorgonia.Node]int  // attentions that compute their maps from this input on
	inside map[*gorgonia.Node]bool // and these
}

// reader is an op that reads a value as its input of a number.
type reader struct {
	node  *gorgonia.Node
	input int
}

// deadRows begins in the names of ops on rows that never reach the loss.
const deadRows = ".full"

// formatsOf settles the formats of a program.
func formatsOf(d *Device, p *vit.Program, order gorgonia.Nodes, u Use, keep []*gorgonia.Node) *formats {
	f := &formats{graph: p.Graph, exact: map[*gorgonia.Node]bool{}, half: map[*gorgonia.Node]bool{},
		float: map[*gorgonia.Node]bool{},
		reads: map[*gorgonia.Node][]reader{}, noisy: map[*gorgonia.Node]reader{}, joined: map[*gorgonia.Node]int{},
		inside: map[*gorgonia.Node]bool{}}
	for _, n := range order {
		for i, c := range vit.Inputs(p.Graph, n) {
			f.reads[c] = append(f.reads[c], reader{n, i})
		}
	}
	f.rows(order)
	if !d.halves() || p.Seed != nil {
		return f
	}
	f.split, f.fast = true, d.blas.precision == BF16
	for _, n := range order {
		in := vit.Inputs(p.Graph, n)
		s := specOf(n)
		if strings.Contains(s.Name, deadRows) {
			continue
		}
		f.exact[n] = p.Start == nil
		for _, c := range in {
			f.exact[n] = f.exact[n] || f.exact[c] || c.Op() != nil && u.Sites[specOf(c).Name]
		}
	}
	if !f.fast {
		return f
	}
	f.float[p.Logits], f.float[p.Losses] = true, true
	f.stream = u.Alone && !d.plain
	if f.settle(order); !f.whole(order) { // some op of the stream has no kernel for it
		f.stream = false
		f.settle(order)
	}
	if !d.plain {
		f.join(d, order, keep)
	}
	return f
}

// settle says which values stand in bf16.
func (f *formats) settle(order gorgonia.Nodes) {
	for i := len(order) - 1; i >= 0; i-- { // readers before what they read
		n := order[i]
		f.half[n] = f.makes(n) && f.wanted(n)
	}
	for _, n := range order {
		if k := specOf(n).Kind; k == vit.OpRows || k == vit.OpAct { // in the format of what they read
			f.half[n] = f.half[n] && f.half[vit.Inputs(f.graph, n)[0]]
		}
	}
}

// rows finds the attentions of one row whose query, keys or values are a stored
// activation under noise that nothing else reads: the noise is made there, and the
// sum never stored.
func (f *formats) rows(order gorgonia.Nodes) {
	for _, n := range order {
		s := specOf(n)
		if s.Kind != vit.OpPerturb || s.Act != vit.NoAct || len(s.Indexed) == 0 || !s.Indexed[0] || len(f.reads[n]) != 1 ||
			s.Offset+s.Live != s.Rows {
			continue
		}
		r := f.reads[n][0]
		a := specOf(r.node)
		if a.Kind != vit.OpAttention || r.input > 2 || a.Rows != 1 || a.Keys > NoisyTokens || !noisyHead(a.Width/a.Heads) {
			continue
		}
		others := true
		for i, indexed := range a.Indexed {
			others = others && (indexed || i == r.input)
		}
		if others {
			f.noisy[r.node] = reader{n, r.input}
		}
	}
}

// within says that an op is computed inside of the one that reads it.
func (f *formats) within(n *gorgonia.Node) bool {
	if f.inside[n] {
		return true
	}
	r := f.reads[n]
	return len(r) == 1 && f.noisy[r[0].node].node == n
}

// specOf describes an op of vit's, and is empty for another.
func specOf(n *gorgonia.Node) vit.Spec {
	if o, ok := n.Op().(interface{ Spec() vit.Spec }); ok {
		return o.Spec()
	}
	return vit.Spec{}
}

// wanted says that everything that reads a value takes it in bf16.
func (f *formats) wanted(n *gorgonia.Node) bool {
	if f.float[n] {
		return false
	}
	for _, r := range f.reads[n] {
		if !f.takes(r) {
			return false
		}
	}
	return true
}

// makes says that an op can write bf16.
func (f *formats) makes(n *gorgonia.Node) bool {
	s := specOf(n)
	switch {
	case f.exact[n]:
		return false
	case s.Kind == vit.OpPatches:
		return s.Patch%8 == 0
	case s.Kind == vit.OpNorm:
		return s.Width%8 == 0 && s.Width <= halfNorm
	case s.Kind == vit.OpLinear:
		return f.linear(n) && (!hasResidual(s) || f.stream && s.Act == vit.NoAct)
	case s.Kind == vit.OpEmbed:
		return f.stream && s.Width%8 == 0
	case s.Kind == vit.OpAttention:
		return !s.Biased && halfHead(s.Width/s.Heads) > 0
	}
	return (s.Kind == vit.OpRows || s.Kind == vit.OpAct) && s.Width%8 == 0
}

// takes says that an op reads an input in bf16.
func (f *formats) takes(r reader) bool {
	s := specOf(r.node)
	switch {
	case f.exact[r.node]:
		return false
	case s.Kind == vit.OpLinear:
		return f.linear(r.node) && (r.input == 0 || f.stream && f.half[r.node] && hasResidual(s))
	case s.Kind == vit.OpNorm:
		return f.stream && r.input == 0 && f.half[r.node]
	case s.Kind == vit.OpAttention:
		return !s.Biased && halfHead(s.Width/s.Heads) > 0
	case s.Kind == vit.OpEmbed:
		return r.input == 0 && s.Width%8 == 0
	}
	return (s.Kind == vit.OpRows || s.Kind == vit.OpAct) && f.half[r.node]
}

// linear says that a linear map can multiply bf16: its rows are whole pieces of 16
// bytes.
func (f *formats) linear(n *gorgonia.Node) bool {
	out := specOf(n).Width
	return out%8 == 0 && vit.Inputs(f.graph, n)[1].Shape().TotalSize()/out%8 == 0
}

// hasResidual says that a linear map adds another value.
func hasResidual(s vit.Spec) bool {
	inputs := 2
	if s.Bias {
		inputs++
	}
	return len(s.Indexed) > inputs
}
