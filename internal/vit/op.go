package vit

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Spec describes a fused op to whoever runs the graph: the CPU machine runs the
// op's own function, a device dispatches on Kind and reads the rest.
type Spec struct {
	Kind string // one of the Op constants
	Name string // unique in its graph

	Rows   int     // rows that one slot contributes to the output
	InRows int     // rows that one slot contributes to the first input, where it differs
	Width  int     // width of a row of the output
	Heads  int     // attention
	Keys   int     // attention: rows of the keys and values of one slot
	Eps    float32 // norm
	Bias   bool    // linear: the third input is a bias
	Act    Act     // linear, perturb, activation: the function at the end
	Site   int     // perturb: index into Sites
	// perturb: rows of a slot before the first noisy one; rows, pool, turn: before the first that counts; bias: first row
	Offset  int
	Live    int     // perturb: noisy rows of a slot
	Indexed []bool  // per input: rows are found at the slot's image in the clean batch, not at the slot
	Part    int     // gradients of several inputs: which one
	Chans   int     // patches: channels
	High    int     // patches: pixels of an image's height; turn, bias: patches
	Wide    int     // patches: pixels of an image's width; turn, bias: patches
	Patch   int     // patches: pixels of a patch's side
	Theta   float64 // turn: base of the angles
	Back    bool    // turn: the other way round

	Segments []Segment // embed: what the rows are made of
	First    bool      // pool: the first row stands before the mean
	Biased   bool      // attention: the input after q, k and v is added to the scores
}

// The kinds of ops. What each computes is said at its builder.
const (
	OpPatches   = "patches"
	OpEmbed     = "embed"
	OpLinear    = "linear"
	OpNorm      = "norm"
	OpAct       = "activation"
	OpAttention = "attention"
	OpRows      = "rows"
	OpScale     = "scale"
	OpProduct   = "product"
	OpMean      = "mean"
	OpPool      = "pool"
	OpRepeat    = "repeat"
	OpTurn      = "turn"
	OpBias      = "bias"
	OpPerturb   = "perturb"
	OpLoss      = "loss"

	OpEmbedGrad     = "embed_grad"
	OpLinearDX      = "linear_dx"
	OpLinearDW      = "linear_dw"
	OpColSum        = "col_sum"
	OpNormDX        = "norm_dx"
	OpNormDG        = "norm_dg"
	OpActGrad       = "activation_grad"
	OpAttentionGrad = "attention_grad"
	OpPart          = "part"
	OpRowsGrad      = "rows_grad"
	OpScaleDX       = "scale_dx"
	OpScaleDG       = "scale_dg"
	OpProductGrad   = "product_grad"
	OpMeanGrad      = "mean_grad"
	OpPoolGrad      = "pool_grad"
	OpBiasGrad      = "bias_grad"
	OpLossGrad      = "loss_grad"

	// Of text towers and of prompt tokens in every block, which the processor alone has.
	OpTexts      = "texts"
	OpEnds       = "ends"
	OpPick       = "pick"
	OpCausal     = "causal_attention"
	OpTextsGrad  = "texts_grad"
	OpPickGrad   = "pick_grad"
	OpCausalGrad = "causal_attention_grad"
	OpNone       = "no_grad"

	// Of rows that are drawn.
	OpGather  = "gather"
	OpScatter = "scatter"
	OpApart   = "apart"

	OpReplace     = "replace"
	OpReplaceGrad = "replace_grad"

	// Of noise on parameters themselves, which the processor alone has.
	OpMove  = "move"
	OpShake = "shake"
)

// FusedOp is one operation of the graphs: a Gorgonia op that computes into
// preallocated memory. Everything a run needs beyond its inputs is in the Feed
// of its graph.
type FusedOp struct {
	spec  Spec
	typ   hm.Type
	shape tensor.Shape
	feed  *Feed
	run   func(out []float32, in [][]float32)
	grad  func(in gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error)
	in    [][]float32 // reused by every run
}

// apply adds the op to the graph of its inputs.
func apply(o *FusedOp, in ...*gorgonia.Node) (*gorgonia.Node, error) {
	t := make([]hm.Type, 0, len(in)+1)
	for _, n := range in {
		t = append(t, n.Type())
	}
	o.typ = hm.NewFnType(append(t, gorgonia.TensorType{Dims: o.shape.Dims(), Of: tensor.Float32})...)
	o.in = make([][]float32, len(in))
	n, err := gorgonia.ApplyOp(o, in...)
	if err != nil {
		return nil, fmt.Errorf("vit: op %s: %w", o.spec.Name, err)
	}
	return n, nil
}

// Spec says what the op computes.
func (o *FusedOp) Spec() Spec { return o.spec }

// Feed is what the op's graph reads besides its tensors.
func (o *FusedOp) Feed() *Feed { return o.feed }

// Arity is the number of inputs.
func (o *FusedOp) Arity() int { return len(o.in) }

// Type is the op's type: its inputs' types to a float32 tensor.
func (o *FusedOp) Type() hm.Type { return o.typ }

// InferShape is the shape fixed when the op was built.
func (o *FusedOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.shape.Clone(), nil }

// Do computes into fresh memory.
func (o *FusedOp) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	out := tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(o.shape...))
	return o.UsePreallocDo(out, in...)
}

// UsePreallocDo computes into out, which has the op's shape.
func (o *FusedOp) UsePreallocDo(out gorgonia.Value, in ...gorgonia.Value) (gorgonia.Value, error) {
	dst, err := floats(out)
	if err != nil {
		return nil, fmt.Errorf("vit: op %s: output: %w", o.spec.Name, err)
	}
	if want := o.shape.TotalSize(); len(dst) != want {
		return nil, fmt.Errorf("vit: op %s: output has %d values, shape %v wants %d", o.spec.Name, len(dst), o.shape, want)
	}
	for i, v := range in {
		if o.in[i], err = floats(v); err != nil {
			return nil, fmt.Errorf("vit: op %s: input %d: %w", o.spec.Name, i, err)
		}
	}
	o.run(dst, o.in)
	return out, nil
}

func floats(v gorgonia.Value) ([]float32, error) {
	d, ok := v.(*tensor.Dense)
	if !ok || d.Dtype() != tensor.Float32 {
		return nil, fmt.Errorf("a %T is not a float32 tensor", v)
	}
	return d.Float32s(), nil
}

// ReturnsPtr says that the output is the memory given.
func (o *FusedOp) ReturnsPtr() bool { return true }

// CallsExtern is false: no cgo.
func (o *FusedOp) CallsExtern() bool { return false }

// OverwritesInput is -1: no input is written.
func (o *FusedOp) OverwritesInput() int { return -1 }

// WriteHash writes the op's name, which is unique in its graph.
func (o *FusedOp) WriteHash(h hash.Hash) { fmt.Fprintf(h, "vit.%s.%s", o.spec.Kind, o.spec.Name) }

// Hashcode is the hash of WriteHash.
func (o *FusedOp) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// String names the op in Gorgonia's errors and graphs.
func (o *FusedOp) String() string { return o.spec.Kind + " " + o.spec.Name }

// DiffWRT says that every input has a gradient if the op has one.
func (o *FusedOp) DiffWRT(inputs int) []bool {
	d := make([]bool, inputs)
	for i := range d {
		d[i] = o.grad != nil && !(len(o.spec.Indexed) > i && o.spec.Indexed[i])
	}
	return d
}

// SymDiff builds the ops that compute the gradients of the inputs.
func (o *FusedOp) SymDiff(in gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.grad == nil {
		return nil, fmt.Errorf("vit: op %s has no gradient", o.spec.Name)
	}
	return o.grad(in, out, dy)
}
