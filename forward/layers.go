package forward

import "context"

// Layered is a Model that is a chain of layers, of whose outputs one row is read in
// the end: the cls row of a transformer.
type Layered interface {
	Model
	// Layer is that whose output a site is, or false where it is none, or the device
	// cannot.
	Layer(site int) (Layer, bool)
	// Top lists the parameters that come after every layer.
	Top() []int
}

// Layer is one part of a chain.
type Layer struct {
	Number int   // in the chain, from 0
	Width  int   // of the row
	Rows   int   // of the layer's input that carry something to it, one image's; 0 of the lowest
	Params []int // that its output depends on, and that of no layer below
	// Floating-point operations of AccumulateLayer, an image: with a gradient at
	// the row alone, at all rows, and of what it leaves below.
	RowFLOPs, AllFLOPs, BelowFLOPs int64
}

// Chained is a Pass of a Layered model.
type Chained interface {
	Pass
	// Outputs answers queries as Losses does, with the outputs as well, len(q)×Classes.
	Outputs(ctx context.Context, p *Perturbation, q []Query, losses, outputs []float32) error
	// AccumulateLayer adds the gradient by params, some of a layer's own, to Param.Grad,
	// of images whose gradient at the layer's output is at, Size×Width, in its first
	// row, and rest, Size×Rows×Width, in the others, nil for none. below, Size×Rows×Width,
	// is set to what at alone leaves at the layer's input; nil where nobody asks.
	AccumulateLayer(ctx context.Context, site int, at, rest []float32, params []int, below []float32) error
	// AccumulateTop adds the gradient of the mean loss by params, some of Top.
	AccumulateTop(ctx context.Context, params []int) error
}
