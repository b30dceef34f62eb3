package query

import (
	"context"

	"github.com/flops-vit/flops/forward"
)

// AnsweredBy is m with its queries answered by somebody else, as forward.AnsweredBy;
// what else m is, forward.As finds.
func AnsweredBy(m Model, by func(b *forward.Batch, p forward.Pass) forward.Evaluator) Model {
	return &answered{m, forward.AnsweredBy(m, by)}
}

type answered struct {
	Model
	asked forward.Model
}

// Unwrap is the model whose queries are answered.
func (a *answered) Unwrap() forward.Model { return a.Model }

// Clean implements forward.Model.
func (a *answered) Clean(ctx context.Context, b *forward.Batch, sites []int) (forward.Pass, error) {
	return a.asked.Clean(ctx, b, sites)
}
