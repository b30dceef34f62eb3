package vit

// Architecture describes a network to the machinery that asks queries of it. A
// family of networks is one type in a file of its own that implements it: it
// names its parameters, and says in build which maps a forward makes of them.
// Everything else that the machinery must know is read off one build (outline):
// the sites, the rows of each that reach the loss, what a gradient pairs noise
// with, from where queries of the weights may start, and what all of it costs.
type Architecture interface {
	// Check refuses shapes that no network of the family has.
	Check() error
	// Input is the shape of an image.
	Input() (channels, height, width int)
	// Outputs is the width of the logits.
	Outputs() int
	// Params lists the parameters in the order of a forward. The order is part
	// of the noise of the weights: it must not change.
	Params() []ParamSpec
	// build makes the forward from the images on, in the order of its maps, and
	// returns the logits and the pooled embedding that they are made of.
	build(g *graph) (logits, features act)
}

// ParamSpec is a parameter before it has values.
type ParamSpec struct {
	Name  string // in the files of the family
	Shape []int
	Role  string // as in forward.Param
	Decay bool   // weight decay applies
	Block int    // that it is part of, -1 outside the blocks
	Init  Init
}

// Init says what a new parameter is: drawn from N(0, Std²), or Value where Std
// is 0.
type Init struct{ Std, Value float64 }

// smallStd is the deviation of what has no fan-in (Touvron et al.
// 2021, arXiv 2012.12877: truncated normals of 0.02; here plain ones).
const smallStd = 0.02

// positionStd is the deviation of a new network's position embeddings, half that
// of the patches they are added to. The usual 0.02 hides where a patch is until
// training has made the embeddings larger, and the noise of forward learning
// drowns that slow start: a demo that must tell rows from columns stays at
// chance between the two.
const positionStd = 0.5

// The kinds of sites, in the order in which a forward meets them.
const (
	PatchEmbed = "patch_embed"
	Query      = "query"
	Key        = "key"
	Value      = "value"
	AttnOut    = "attn_out"
	MLPGate    = "mlp_gate" // of a gated feed-forward layer, before the function
	MLPIn      = "mlp_in"
	MLPOut     = "mlp_out"
	Residual   = "residual" // a block's output, of which one row is read

	// Of pooling by attention.
	PoolQuery  = "pool_query"
	PoolKey    = "pool_key"
	PoolValue  = "pool_value"
	PoolOut    = "pool_out"
	PoolMLPIn  = "pool_mlp_in"
	PoolMLPOut = "pool_mlp_out"

	Pooler     = "pooler"          // of the pooled row, with tanh after it
	Projection = "projection"      // of the pooled embedding, where a classifier comes after it
	Classifier = "classifier"      // the map to the logits, of whatever they are
	Distilled  = "classifier_dist" // the second map to the logits, of the distillation row
)

// blockKinds are the sites of a block, poolKinds those of pooling by attention, in
// their order.
var (
	blockKinds = []string{Query, Key, Value, AttnOut, MLPGate, MLPIn, MLPOut}
	poolKinds  = []string{PoolQuery, PoolKey, PoolValue, PoolOut, PoolMLPIn, PoolMLPOut}
)
