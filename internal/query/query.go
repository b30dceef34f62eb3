// Package query is what this tool asks of a model beyond what the estimators of
// package forward do: internal/vit (on the CPU or CUDA) and internal/remote answer.
package query

import (
	"context"

	"github.com/flops-vit/flops/forward"
)

// Model is a model that the tool trains.
type Model interface {
	forward.Costed
	// Evaluate returns the losses and logits of a batch without keeping
	// anything for queries; of a batch without labels the logits alone.
	Evaluate(ctx context.Context, b *forward.Batch) (*forward.Clean, error)
	// Touch tells the model that Param.Data changed.
	Touch()
	// Device says in words where the model runs, such as "cpu".
	Device() string
	// Close frees what the model holds outside the Go heap.
	Close() error
}

// Metered is a Model that counts its queries itself, because what it answers from
// memory costs nothing.
type Metered interface {
	Model
	// Spent is the queries that the run has to pay for so far, in all.
	Spent() int64
}

// TwoSided is a Metered model whose queries are of images and of texts, which do not
// cost alike.
type TwoSided interface {
	Metered
	// Apart is Spent by what was asked.
	Apart() (images, texts int64)
	// SpentFLOPs is what it has cost.
	SpentFLOPs() int64
	// StepQueries is what a step costs in which every image has so many queries of each of
	// its perturbations.
	StepQueries(plan []forward.Perturbation, queries int64) int64
}

// Differentiable is a Model that can also backpropagate.
type Differentiable interface {
	Model
	// Backward adds the gradient of the mean loss of b to Param.Grad of every
	// parameter whose Grad is not nil, and returns the clean pass.
	Backward(ctx context.Context, b *forward.Batch) (*forward.Clean, error)
	// BackwardFLOPs is the cost of one backward pass of one image.
	BackwardFLOPs() int64
}
