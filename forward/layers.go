package forward

import (
	"context"
	"math"
)

// Layered is a Model that is a chain of layers, of whose outputs some rows are read in
// the end: the cls row of a transformer, or those that its pooling reads.
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
	Width  int   // of a row
	First  int   // of its output's rows that are read
	Reads  int   // so many are read
	Runs   []int // the ends of those among them that come to the outputs alike, and share a Jacobian
	Rows   int   // of the layer's input that carry something to it, one image's; 0 of the lowest
	Outs   int   // rows of its output
	Some   bool  // the gradient may be that at some of these alone
	Params []int // that it computes with, some of which other layers may share
	// Adds are the maps whose outputs are added to the rows read, in their order: the gradient
	// at the layer's output is that at what the last one adds.
	Adds []Addend
	// Floating-point operations of AccumulateLayer, an image: with a gradient at
	// the rows read alone, at all rows, of what it leaves below, and of what is computed once
	// more for that where the gradient is at all rows.
	RowFLOPs, AllFLOPs, BelowFLOPs, AgainFLOPs int64
}

// Addend is a map whose output is added to the rows read of a layer.
type Addend struct {
	Params []int
	FLOPs  int64 // of its product at these rows
}

// LayerGradient is the gradient at a layer's output.
type LayerGradient struct {
	At   []float32 // in the rows that are read, Size×Reads×Width
	Rest []float32 // in others, Size×k×Width, nil where there is none
	Rows []int32   // which these are, Size×k, none twice; nil: all Outs, of which those read count for nothing
	// Straight takes At for the gradient at what each of the layer's Adds adds, and passes it
	// through none of its maps: only their parameters have one, and there is no Rest.
	Straight bool
}

// noise is how many numbers of the layer's output are noisy.
func (x *Layer) noise() int { return x.Reads * x.Width }

// wide is how many numbers of the rows of an item its Jacobian has, a row for each run.
func (x *Layer) wide() int { return len(x.Runs) * x.Width }

// others says whether the output has rows besides those that are read.
func (x *Layer) others() bool { return x.Outs > x.Reads }

// gathered is what the noise of the rows read is to the Jacobian: of a run Σ_t ε_t over the
// root of its rows, of the variance of one row's.
func (x *Layer) gathered(eps, room []float32) []float32 {
	if x.Reads == 1 {
		return eps
	}
	clear(room)
	x.each(func(k, t int, share float32) {
		axpy(room[k*x.Width:(k+1)*x.Width], share, eps[t*x.Width:(t+1)*x.Width])
	})
	return room
}

// spread adds c times the gradient u of the runs to the rows read, each its run's share.
func (x *Layer) spread(at []float32, c float32, u []float32) {
	x.each(func(k, t int, share float32) {
		axpy(at[t*x.Width:(t+1)*x.Width], c*share, u[k*x.Width:(k+1)*x.Width])
	})
}

// each calls do with the run, the row and the share of every row that is read.
func (x *Layer) each(do func(k, t int, share float32)) {
	t := 0
	for k, end := range x.Runs {
		share := float32(1)
		if n := end - t; n > 1 {
			share = float32(1 / math.Sqrt(float64(n)))
		}
		for ; t < end; t++ {
			do(k, t, share)
		}
	}
}

// Chained is a Pass of a Layered model.
type Chained interface {
	Showing
	// AccumulateLayer adds the gradient by params, some of a layer's own, to Param.Grad,
	// of images whose gradient at the layer's output is g. below, Size×Rows×Width, is set
	// to what g.At alone leaves at the layer's input; nil where nobody asks.
	AccumulateLayer(ctx context.Context, site int, g LayerGradient, params []int, below []float32) error
	// AccumulateTop adds the gradient of the mean loss by params, some of Top, and sets
	// at, Size×Reads×Width, to that by the rows read of the last layer's output; nil where
	// nobody asks.
	AccumulateTop(ctx context.Context, params []int, at []float32) error
	// Above sets outputs, len(items)×Classes, to what they are of these items of the
	// batch with add, len(items)×Reads×Width, added to the rows read of the last layer's
	// output; add is used up.
	Above(ctx context.Context, items []int32, add, outputs []float32) error
}
