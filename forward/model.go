package forward

import (
	"context"
	"errors"
)

// Batch is the items of one step: images, or whatever has a loss of its own.
type Batch struct {
	Size   int       // items
	Inputs []float32 // what the model takes, row-major: of images the pixels, Size×C×H×W; a Func needs none
	Labels []int32   // class of each item; nil where there are none, or no losses are wanted
	Index  []int32   // position of each item in its dataset
	Levels *Levels   // the images of Inputs as they were before, for a model that takes them so; nil: Inputs has them
	Memory Memory    // what is kept of the items between batches; nil: nothing
}

// Levels are images of bytes: the input that a level of 0 to 255 of channel c stands
// for is Table[256·c+level]. A model that takes them (vit.Model.TakesLevels) makes the
// inputs itself, where it computes, and they travel as a quarter of the bytes.
type Levels struct {
	Data  []uint8   // Size×C×H×W
	Table []float32 // C×256
}

// Memory keeps, between batches, what the part of a model below everything that is
// trained made of the items of a batch, so that a model need not make it again.
// Whoever makes batches with one may leave Inputs out of items of which something
// is kept.
type Memory interface {
	// Recall is what is kept of item i, which stays as it is while the batch is
	// valid; nil: nothing is kept.
	Recall(i int) ([]float32, error)
	// Keep takes what was made of item i.
	Keep(i int, made []float32) error
	// Fill makes Inputs whole at these items, at all of them where items is nil.
	Fill(items []int) error
}

// Query is one forward evaluation of one image's loss under one direction.
// An antithetic pair is two queries with the same Image and Pair and opposite
// Sign.
type Query struct {
	Image int32 // slot of the item in the batch, 0..Size-1
	Pair  int32 // number of the direction among those of this image (or, for weights, of the batch)
	Sign  int8  // +1 or -1
}

// Term is one direction's share of the gradient: Coef·ε for the noise that
// (Image, Pair) names. Coef already holds every weight of the estimate (1/B,
// 1/P_i, 1/2σ), so a model only multiplies and adds.
//
// Sign says which forward's input x the noise is paired with at a site: 0 the
// clean one, ±1 the one that the query with this sign saw, which differs where
// an earlier site was noisy too (the joint schedule). Coef is then the weight of
// Sign·ε before the division by the scale σ of each site, which the model does.
type Term struct {
	Image int32
	Pair  int32
	Sign  int8
	Coef  float32
}

// WeightSite is the site number in the noise counter of weight perturbations;
// the counter's image is then the parameter's index and its pair the direction.
const WeightSite = 4095

// Kind says what the noise of a Perturbation is added to.
type Kind int

const (
	// Activations adds σ·ε to the output of the linear maps named by Sites.
	Activations Kind = iota
	// Weights adds σ·z to the parameters named by Params; Query.Pair names the
	// direction, which the images share.
	Weights
	// Outputs adds nothing: the gradient by the map to the outputs, the one of
	// Sites, is known from the clean pass and asks no query (Exact).
	Outputs
	// Layers adds σ·ε to the row that is read of the output of every layer named by
	// Sites, all in one forward, and asks for the outputs, not for the loss alone
	// (Layered). The gradient is that of Params.
	Layers
	// Changes adds noise as Activations does at the one site of Sites, and asks for the
	// outputs, not for the loss alone (Showing).
	Changes
)

// Perturbation says which noise the queries of one call carry. Together with a
// Query it fixes every random number: the counter of noise is (step,
// site, image, pair, offset).
type Perturbation struct {
	Kind   Kind
	Step   uint32
	Sites  []int     // all but Weights: indices into Model.Sites, all noisy in one forward
	Sigma  []float32 // Activations, Changes, Layers: the scale of each of Sites; Weights: one number
	Params []int     // Weights, Layers: indices into Model.Params
}

// Site describes one linear map z = x Wᵀ + b whose output can be perturbed, or
// parameters that noise is added to themselves, of every image its own (Direct).
type Site struct {
	Name   string // "block.5.query", "patch_embed", "classifier"
	Kind   string // "query", "key", "value", "attn_out", "mlp_in", "mlp_out", "patch_embed", "classifier"
	Block  int    // -1 outside the blocks
	Rows   int    // T, the rows of z of one image
	Live   int    // rows that can reach the loss: 1 or T (docs/method.md, structural mask)
	In     int    // k, the width of x
	Out    int    // m, the width of z
	Weight int    // index of W in Model.Params, -1 of a site that is no map
	Bias   int    // index of b in Model.Params, -1 where there is none
	FLOPs  int64  // floating-point operations of one suffix from this site
	Output bool   // z are the outputs that the loss is made of
	// Span is in how many directions of a row of z noise lies, where it is in a few; 0: in
	// all Out.
	Span int
	// Direct are the parameters, as indices into Model.Params, that a site's noise is
	// added to: one row of Out numbers, which all rows of an image share. nil of a map.
	Direct []int
}

// Dim is how many numbers of noise a row of z has.
func (s Site) Dim() int {
	if s.Span > 0 {
		return s.Span
	}
	return s.Out
}

// Params are the indices in Model.Params of what the site's linear map is made
// of: its weight, and its bias where there is one; or of what its noise is added to.
func (s Site) Params() []int {
	if len(s.Direct) > 0 {
		return s.Direct
	}
	if s.Weight < 0 {
		return nil
	}
	if s.Bias < 0 {
		return []int{s.Weight}
	}
	return []int{s.Weight, s.Bias}
}

// Param is one named tensor of a model. Data and Grad are row-major and shared
// with the model: an optimizer writes Data and then calls Model.Touch.
type Param struct {
	Name  string // the Hugging Face name
	Shape []int
	Data  []float32
	Grad  []float32 // nil until the parameter is trained
	Role  string    // "linear", "norm", "cls_token", "position", "fixed", "prompt", "temperature"
	Decay bool      // weight decay applies
	Block int       // that it is part of, -1 outside the blocks
}

// Loss is what the queries of one batch answer: an objective that knows the
// images of the batch and is not changed once they are answered.
type Loss interface {
	// Losses writes the loss of rows outputs of classes numbers each; targets is
	// what the objective is told of each row.
	Losses(out, outputs []float32, rows, classes int, targets []int32) error
}

// Clean is the answer of the unperturbed forward of a batch.
type Clean struct {
	Losses   []float32 // one per item; nil where the batch has no labels
	Loss     Loss      // by which they were made; nil where the batch has no labels
	Targets  []int32   // what Loss is told of each item's outputs; nil where the batch has no labels
	Logits   []float32 // Size×Classes; nil where a model has none
	Features []float32 // Size×Dim, an embedding of each item (of a ViT the cls row after the last norm); nil where a model has none
	Classes  int
	Dim      int
	InputSq  [][]float32 // per perturbable site asked for: ‖x_i‖²_F of each image, plus the live rows for the bias
}

// Model is what an estimator knows of a model. Its methods are called from one
// goroutine; a model spreads the work over its own workers, and answers alike for
// any number of them.
type Model interface {
	// Params are the tensors of the model, in an order that does not change.
	Params() []*Param
	// Sites are the linear maps whose outputs can be perturbed; none where only
	// weights can be.
	Sites() []Site
	// Clean runs the unperturbed forward of b and returns the pass, of which
	// queries at sites may be asked. Sites that Clean was not told of cannot be
	// asked. A model keeps one pass: one more makes the pass before it stale.
	Clean(ctx context.Context, b *Batch, sites []int) (Pass, error)
}

// Evaluator answers queries: whoever does so for a model, such as another machine,
// is one type that implements it (AnsweredBy).
type Evaluator interface {
	// Losses evaluates queries on the batch of a pass; out[i] is the loss of q[i].
	// Queries of one image stand together, in the order of their pairs.
	Losses(ctx context.Context, p *Perturbation, q []Query, out []float32) error
}

// Pass is the clean pass of a batch while a model holds what queries of it start
// from. A stale one refuses to be asked.
type Pass interface {
	// Clean is what the unperturbed forward answered.
	Clean() *Clean
	Evaluator
	// Accumulate adds Σ Coef·ε, turned into parameter gradients (E_iᵀ x_i for a
	// site), to Param.Grad of what p perturbs.
	Accumulate(ctx context.Context, p *Perturbation, t []Term) error
}

// Showing is a Pass that shows the outputs of its queries.
type Showing interface {
	Pass
	// Outputs answers queries as Losses does, with the outputs as well, len(q)×Classes.
	Outputs(ctx context.Context, p *Perturbation, q []Query, losses, outputs []float32) error
}

// ErrStale is the error of a pass that a later one, or another use of the model's
// memory, has taken the place of.
var ErrStale = errors.New("forward: the model has forgotten this clean pass for a later one")

// Costed is a Model that knows what its queries cost; of another, costs are 0.
type Costed interface {
	Model
	// ForwardFLOPs is the cost of one clean forward of one item.
	ForwardFLOPs() int64
}

// Resumable is a Model that evaluates queries of the weights from the lowest
// trained parameter on, and not from its inputs.
type Resumable interface {
	Model
	// WeightFLOPs is the cost of one such query.
	WeightFLOPs() int64
}
