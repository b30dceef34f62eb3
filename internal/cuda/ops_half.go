package cuda

import (
	"github.com/flops-vit/flops/internal/vit"
	"gorgonia.org/gorgonia"
)

// halfBuilders make the steps of ops that multiply bf16, or read or write it
// (formats). One that has nothing better than floats gives no step.
var halfBuilders map[string]func(o *op, f *formats, n *gorgonia.Node) (step, int64)

func init() {
	halfBuilders = map[string]func(o *op, f *formats, n *gorgonia.Node) (step, int64){
		vit.OpPatches:   halfPatches,
		vit.OpEmbed:     halfEmbed,
		vit.OpLinear:    halfLinear,
		vit.OpNorm:      halfNormStep,
		vit.OpAct:       halfAct,
		vit.OpAttention: halfAttention,
		vit.OpRows:      halfRows,
	}
}

// halfPrefix begins the names of parameters that a program reads in bf16.
const halfPrefix = "bf16."

// weight is an input that is a parameter, in bf16.
func (o *op) weight(i int) *ref { return &ref{name: halfPrefix + o.in[i].name} }

// bound adds an input to those that are bound when the program is placed.
func (m *VM) bound(r *ref) *ref {
	m.extra = append(m.extra, r)
	return r
}

// rounded is an input in bf16: as it stands, or rounded into workspace.
func (o *op) rounded(i int, r *Run, work Ptr, n int64) (Ptr, error) {
	if o.halves[i] {
		return o.arg(i, r), nil
	}
	return work, o.dev.Round(work, o.arg(i, r), n)
}

// halfLinear is a linear map whose weight is in bf16: of an input in bf16, or of
// exact floats as a sum of several.
func halfLinear(o *op, f *formats, n *gorgonia.Node) (step, int64) {
	if !f.linear(n) {
		return nil, 0
	}
	out := o.spec.Width
	k := int(o.sizes[1]) / out
	weight := o.bound(o.weight(1))
	var bias *ref
	residual := 2
	if o.spec.Bias {
		residual++
		if bias = o.in[2]; o.half {
			bias = o.bound(o.weight(2))
		}
	}
	size := int64(o.slots) * int64(o.spec.Rows) * int64(k)
	part := align(2 * size)
	work := part
	if o.exact {
		work = splitParts * part
	} else if o.halves[0] {
		work = 0
	}
	return func(r *Run) error {
		rows := r.N * o.spec.Rows
		count := int64(rows) * int64(k)
		g := Gemm{Form: NT, M: rows, N: out, K: k, Alpha: 1, C: Operand{Ptr: o.ptr(r), Ld: out}, A: Operand{Ld: k},
			B: Operand{Ptr: o.at(weight, r), Ld: k}, Act: function(o.spec.Act), Rows: o.spec.Rows, Half: true, HalfC: o.half}
		if bias != nil {
			g.Bias = o.at(bias, r)
		}
		if len(o.in) > residual {
			g.Residual, g.Index = o.arg(residual, r), o.index(residual, r)
		}
		if o.exact {
			g.A.Ptr = o.workspace()
			if err := o.dev.Split(g.A.Ptr, o.arg(0, r), count, part/2); err != nil {
				return err
			}
			return o.dev.SplitGemm(g, part/2)
		}
		var err error
		if g.A.Ptr, err = o.rounded(0, r, o.workspace(), count); err != nil {
			return err
		}
		return o.dev.Gemm(g)
	}, work
}

func halfPatches(o *op, _ *formats, _ *gorgonia.Node) (step, int64) {
	if !o.half {
		return nil, 0
	}
	s := o.spec
	return func(r *Run) error {
		return o.dev.HalfPatches(o.ptr(r), o.arg(0, r), r.N, s.Chans, s.High, s.Wide, s.Patch)
	}, 0
}

func halfEmbed(o *op, _ *formats, _ *gorgonia.Node) (step, int64) {
	if !o.halves[0] {
		return nil, 0
	}
	if o.half {
		return o.streamEmbed, 0
	}
	return func(r *Run) error { return o.embed(r, true) }, 0
}

// streamEmbed writes the sequence in bf16.
func (o *op) streamEmbed(r *Run) error {
	s := o.spec
	for _, x := range s.Segments {
		var positions, own, parameter Ptr
		if x.Table >= 0 {
			positions = o.arg(x.Table, r) + Ptr(4*x.Position*s.Width)
		}
		if x.Token == 0 {
			own = o.arg(0, r)
		} else {
			parameter = o.arg(x.Token, r)
		}
		err := o.dev.StreamEmbed(o.ptr(r), own, parameter, positions, r.N, x.Row, x.Rows, s.Rows, s.Width)
		if err != nil {
			return err
		}
	}
	return nil
}

func halfNormStep(o *op, _ *formats, _ *gorgonia.Node) (step, int64) {
	if !o.half {
		return nil, 0
	}
	s := o.spec
	return func(r *Run) error {
		return o.dev.HalfNorm(o.ptr(r), o.arg(0, r), o.arg(1, r), o.arg(2, r), r.N*s.Rows, s.Width, s.Eps,
			o.halves[0])
	}, 0
}

func halfAct(o *op, _ *formats, _ *gorgonia.Node) (step, int64) {
	if !o.half {
		return nil, 0
	}
	return func(r *Run) error {
		return o.dev.HalfActivation(function(o.spec.Act), o.ptr(r), o.arg(0, r), o.values(r))
	}, 0
}

func halfRows(o *op, _ *formats, _ *gorgonia.Node) (step, int64) {
	if !o.half {
		return nil, 0
	}
	w := int64(o.spec.Width) / 2 // floats, of two values each
	return func(r *Run) error {
		from := o.arg(0, r) + Ptr(4*w*int64(o.spec.Offset))
		return o.dev.Gather(o.ptr(r), from, 0, r.N, w*int64(o.spec.Rows), w*int64(o.spec.InRows))
	}, 0
}

// halfAttention is attention of whole sequences in bf16, and of maps that are joined
// with it their product.
func halfAttention(o *op, f *formats, n *gorgonia.Node) (step, int64) {
	if o.exact || o.spec.Biased {
		return nil, 0
	}
	s := o.spec
	head := s.Width / s.Heads
	if halfHead(head) == 0 {
		return nil, 0
	}
	for _, indexed := range s.Indexed {
		if indexed {
			return nil, 0
		}
	}
	rows := []int{s.Rows, s.Keys, s.Keys}
	first, joined := f.joined[n]
	if !joined {
		first = len(rows)
	}
	var offs [4]int64
	for i, n := range rows {
		offs[i+1] = offs[i]
		if i < first && !o.halves[i] {
			offs[i+1] += align(2 * int64(o.slots) * int64(n) * int64(s.Width))
		}
	}
	work := offs[3]
	if !o.half {
		work += align(2 * int64(o.slots) * int64(s.Rows) * int64(s.Width))
	}
	var maps func(r *Run, out Ptr) error
	at, ld := Ptr(work), s.Width // of what is joined
	if joined {
		ld = (len(rows) - first) * s.Width
		maps = o.joinedMaps(vit.Inputs(f.graph, vit.Inputs(f.graph, n)[first]), first, ld)
		work += align(2 * int64(o.slots) * int64(s.Keys) * int64(ld))
	}
	return func(r *Run) error {
		var in [3]Ptr
		for i, n := range rows[:first] {
			var err error
			if in[i], err = o.rounded(i, r, o.workspace()+Ptr(offs[i]), int64(r.N)*int64(n)*int64(s.Width)); err != nil {
				return err
			}
		}
		if joined {
			if err := maps(r, o.workspace()+at); err != nil {
				return err
			}
			for i := first; i < len(in); i++ {
				in[i] = o.workspace() + at + Ptr(2*(i-first)*s.Width)
			}
		}
		out := o.ptr(r)
		if !o.half {
			out = o.workspace() + Ptr(offs[3])
		}
		ldq := s.Width
		if first == 0 {
			ldq = ld
		}
		err := o.dev.HalfAttention(out, in[0], in[1], in[2], r.N, s.Rows, s.Keys, s.Heads, head, ldq, ld)
		if err != nil || o.half {
			return err
		}
		return o.dev.Widen(o.ptr(r), out, o.values(r))
	}, work
}

// joinedMaps is the product of an attention's input of a number, which stands for its
// maps', with their weights, of which the first map's inputs are given.
func (o *op) joinedMaps(first gorgonia.Nodes, input, wide int) func(r *Run, out Ptr) error {
	weight := o.bound(&ref{name: halfPrefix + first[1].Name()})
	var bias *ref
	if len(first) > 2 {
		bias = o.bound(&ref{name: halfPrefix + first[2].Name()})
	}
	width := first[1].Shape().TotalSize() / o.spec.Width
	return func(r *Run, out Ptr) error {
		g := Gemm{Form: NT, M: r.N * o.spec.Keys, N: wide, K: width, Alpha: 1, C: Operand{Ptr: out, Ld: wide},
			A: Operand{Ptr: o.arg(input, r), Ld: width}, B: Operand{Ptr: o.at(weight, r), Ld: width}, Half: true, HalfC: true}
		if bias != nil {
			g.Bias = o.at(bias, r)
		}
		return o.dev.Gemm(g)
	}
}
