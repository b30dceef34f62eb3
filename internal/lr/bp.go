package lr

import (
	"context"

	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
)

func init() { Register("bp", newBP) }

// bp is backpropagation through the model's own graph (DESIGN 3.3): the
// yardstick. It asks no queries; its forward is the clean pass.
type bp struct{ o Options }

func newBP(m query.Model, o Options) (Estimator, error) {
	if _, ok := m.(query.Differentiable); !ok {
		return nil, uierr.New("estimator.name: bp needs a model that can be differentiated", "use estimator.name: weight for a model that can only be called")
	}
	return &bp{o: o}, nil
}

func (b *bp) Name() string { return "bp" }

func (b *bp) Sites(uint32) []int { return nil }

func (b *bp) Plan(uint32) []query.Perturbation { return nil }

// Ask runs the forward and the backward of the batch; the gradient is there
// when it returns, and the clean pass with it.
func (b *bp) Ask(ctx context.Context, m query.Model, s *Step) (*Result, error) {
	d := m.(query.Differentiable)
	c, err := d.Backward(ctx, s.Batch)
	return &Result{Params: b.o.Params, FLOPs: int64(s.Batch.N) * d.BackwardFLOPs(), Clean: c}, err
}

// Accumulate has nothing to add to what Ask did.
func (b *bp) Accumulate(context.Context, query.Model, *Step, []Record) error { return nil }

func (b *bp) Learn(query.Model, *Step, []Record) {}

func (b *bp) State() []float64 { return nil }

func (b *bp) Restore([]float64) error { return nil }
