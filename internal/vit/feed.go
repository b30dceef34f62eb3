package vit

import (
	"fmt"

	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/noise"
)

// Feed is what one run of a graph reads besides its tensors: how many of its
// slots are in use, the image of the batch that each slot evaluates, and the
// noise it carries. A graph has one Feed and one goroutine.
type Feed struct {
	Slots  int     // in use, at most the graph's size
	Image  []int32 // per slot: image of the clean batch
	Target []int32 // per slot: what the objective is told of it
	Pair   []int32 // per slot: number of the direction
	Sign   []int8  // per slot: +1, -1, or 0 where the slot carries no noise
	Rows   []int32 // per slot, as many: rows that are drawn
	Base   []int32 // per slot: that without noise which products in bf16 are differences from, else itself

	Step  uint32
	Sigma []float32 // per site of the network: scale of its noise
	Noise noise.Source
	Loss  *objective.Bound // nil where no losses are wanted

	gemm kernel.Scratch
	thin kernel.Thin
	half kernel.HalfScratch
	look kernel.HalfAttention
	attn kernel.AttentionScratch
	bufs [3][]float32
	err  error // of the last run's objective
}

// buf is the i-th workspace, at least n long; its content is whatever the last
// user left.
func (f *Feed) buf(i, n int) []float32 {
	if cap(f.bufs[i]) < n {
		f.bufs[i] = make([]float32, n)
	}
	return f.bufs[i][:n]
}

func newFeed(slots, sites int) *Feed {
	return &Feed{Image: make([]int32, slots), Target: make([]int32, slots), Pair: make([]int32, slots),
		Sign: make([]int8, slots), Base: make([]int32, slots), Sigma: make([]float32, sites)}
}

// lossGrad is the derivative of each slot's loss by its logits.
func (f *Feed) lossGrad(out, logits []float32, rows, classes int) error {
	d, ok := f.Loss.Objective.(objective.Differentiable)
	if !ok {
		return fmt.Errorf("vit: objective %s has no gradient", f.Loss.Name())
	}
	return d.Grad(out, logits, rows, classes, f.Target[:f.Slots], 1)
}

// counter names the noise of a slot at a site.
func (f *Feed) counter(slot, site int) noise.Counter {
	return noise.Counter{Step: f.Step, Site: uint32(site), Image: uint32(f.Image[slot]), Pair: uint32(f.Pair[slot])}
}
