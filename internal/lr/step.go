package lr

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
)

// Step is one batch with its clean pass and the queries that each image got. It is
// made by Prepare and taken by Ask, which finds out what the queries say, and
// Apply, which makes the gradient of that; whoever knows the answers applies them
// without asking.
type Step struct {
	forward.Step
	made   int64 // floating-point operations of a Differentiator's gradient
	params []int // that it gave a gradient
}

// On is a step on a clean pass that was run already.
func On(p forward.Pass, number uint32, b *forward.Batch) *Step {
	return &Step{Step: forward.Step{Number: number, Batch: b, Pass: p, Clean: p.Clean()}}
}

// Prepare begins an estimator's step with the clean pass of a batch. A
// Differentiator makes its gradient in the same go: Param.Grad is to be cleared
// before.
func Prepare(ctx context.Context, m query.Model, e Estimator, number uint32, b *forward.Batch) (*Step, error) {
	switch e := e.(type) {
	case Asker:
		p, err := m.Clean(ctx, b, e.Sites(number))
		if err != nil {
			return nil, err
		}
		return On(p, number, b), nil
	case Differentiator:
		c, params, cost, err := e.Gradient(ctx, m, b)
		if err != nil {
			return nil, err
		}
		return &Step{Step: forward.Step{Number: number, Batch: b, Clean: c}, made: cost.FLOPs, params: params}, nil
	}
	return nil, fmt.Errorf("lr: estimator %s makes no gradient", e.Name())
}

// Asks says whether an estimator's step has queries, of which Counts gives each image
// its share before Ask.
func (s *Step) Asks(e Estimator) bool { return s.Pass != nil && len(Plan(e, s.Number)) > 0 }

// Ask evaluates the queries of a step; of one that asks none it says what the
// gradient has cost.
func Ask(ctx context.Context, m query.Model, e Estimator, s *Step) (*forward.Result, error) {
	if a, ok := e.(Asker); ok {
		return a.Ask(ctx, m, &s.Step)
	}
	return &forward.Result{FLOPs: s.made}, nil
}

// Variances are V̂_i of every record of a step that Apply has made the gradient of, nil
// where no query was asked.
func Variances(m query.Model, e Estimator, s *Step, records []forward.Record) [][]float64 {
	if a, ok := e.(Asker); ok {
		return a.Variances(m, &s.Step, records)
	}
	return nil
}

// Apply adds the gradient of a step to Param.Grad, from the records of its queries,
// asked just now or kept in a journal, and lists the parameters that have one.
func Apply(ctx context.Context, m query.Model, e Estimator, s *Step, records []forward.Record) ([]int, error) {
	if a, ok := e.(Asker); ok {
		return forward.Touched(m, records), a.Accumulate(ctx, &s.Step, records)
	}
	return s.params, nil
}
