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
	Last   bool  // of the chain
	Width  int   // of the row
	Rows   int   // of the layer's input that carry something to it, one image's; 0 of the lowest
	Outs   int   // rows of its output
	Some   bool  // the gradient may be that at some of these alone
	Params []int // that its output depends on, and that of no layer below
	// Adds are the maps whose outputs are added to the row, in their order: the gradient
	// at the layer's output is that at what the last one adds.
	Adds []Addend
	// Floating-point operations of AccumulateLayer, an image: with a gradient at
	// the row alone, at all rows, of what it leaves below, and of what is computed once
	// more for that where the gradient is at all rows.
	RowFLOPs, AllFLOPs, BelowFLOPs, AgainFLOPs int64
}

// Addend is a map whose output is added to the row of a layer.
type Addend struct {
	Params []int
	FLOPs  int64 // of its product at one row
}

// LayerGradient is the gradient at a layer's output.
type LayerGradient struct {
	At   []float32 // in the row that is read, Size×Width
	Rest []float32 // in others, Size×k×Width, nil where there is none
	Rows []int32   // which these are, Size×k, none twice; nil: all Outs, of which the first counts for nothing
	// Straight takes At for the gradient at what each of the layer's Adds adds, and passes it
	// through none of its maps: only their parameters have one, and there is no Rest.
	Straight bool
}

// Chained is a Pass of a Layered model.
type Chained interface {
	Showing
	// AccumulateLayer adds the gradient by params, some of a layer's own, to Param.Grad,
	// of images whose gradient at the layer's output is g. below, Size×Rows×Width, is set
	// to what g.At alone leaves at the layer's input; nil where nobody asks.
	AccumulateLayer(ctx context.Context, site int, g LayerGradient, params []int, below []float32) error
	// AccumulateTop adds the gradient of the mean loss by params, some of Top, and sets
	// at, Size×Width, to that by the row read of the last layer's output; nil where
	// nobody asks.
	AccumulateTop(ctx context.Context, params []int, at []float32) error
	// Above sets outputs, len(items)×Classes, to what they are of these items of the
	// batch with add, len(items)×Width, added to the row read of the last layer's
	// output; add is used up.
	Above(ctx context.Context, items []int32, add, outputs []float32) error
}
