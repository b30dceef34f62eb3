package lr

import (
	"context"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
)

func init() { Register("bp", newBP).Is(Silent) }

// bp is backpropagation through the model's own graph: the
// yardstick. It asks no queries; its forward is the clean pass.
type bp struct{ o Options }

func newBP(m query.Model, o Options) (Estimator, error) {
	if _, ok := forward.As[query.Differentiable](m); !ok {
		return nil, uierr.New("estimator.name: bp needs a model that can be differentiated",
			"use estimator.name: weight for a model that can only be called")
	}
	return &bp{o: o}, nil
}

func (b *bp) Name() string { return "bp" }

// Cost is that of the backward passes; no query is asked.
func (b *bp) Cost(m query.Model, _ uint32, images, _ int64) Cost {
	d, _ := forward.As[query.Differentiable](m) // or there were no estimator
	return Cost{FLOPs: images * d.BackwardFLOPs()}
}

// Gradient runs the forward and the backward of the batch.
func (b *bp) Gradient(ctx context.Context, m query.Model, batch *forward.Batch) (*forward.Clean, []int, Cost, error) {
	d, _ := forward.As[query.Differentiable](m)
	c, err := d.Backward(ctx, batch)
	return c, b.o.Params, b.Cost(m, 0, int64(batch.Size), 0), err
}

func (b *bp) State() []float64 { return nil }

func (b *bp) Restore([]float64) error { return nil }
