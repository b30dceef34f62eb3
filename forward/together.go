package forward

import (
	"context"
	"fmt"
)

// Questions are the queries of one perturbation of a step, and their answers.
type Questions struct {
	Perturbation *Perturbation
	Queries      []Query
	Losses       []float32 // to be filled: Losses[i] is that of Queries[i]
	Outputs      []float32 // to be filled, len(Queries)×Classes, of a Showing pass; nil: nobody asks for them
}

// Answer has a pass answer questions.
func (q Questions) Answer(ctx context.Context, e Evaluator) error {
	if q.Outputs == nil {
		return e.Losses(ctx, q.Perturbation, q.Queries, q.Losses)
	}
	p, _ := e.(Pass)
	c, ok := PassAs[Showing](p)
	if !ok {
		return fmt.Errorf("forward: a %T does not show the outputs of queries", e)
	}
	return c.Outputs(ctx, q.Perturbation, q.Queries, q.Losses, q.Outputs)
}

// Together is an Evaluator that is asked the questions of all of a step's
// perturbations in one call, so that there is no wait between one and the next.
type Together interface {
	Evaluator
	AskTogether(ctx context.Context, all []Questions) error
}

// askAll asks whoever answers, in one call where it can be.
func askAll(ctx context.Context, e Evaluator, all []Questions) error {
	if t, ok := e.(Together); ok {
		return t.AskTogether(ctx, all)
	}
	for _, q := range all {
		if err := q.Answer(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// Planned lists into q the queries of images first, first+1, ... with so many each: image
// by image, pair by pair, + before −.
func Planned(q []Query, first int, counts []int, antithetic bool) []Query {
	q = q[:0]
	for i, n := range counts {
		for p := 0; p < pairs(n, antithetic); p++ {
			q = append(q, Query{Image: int32(first + i), Pair: int32(p), Sign: 1})
			if antithetic {
				q = append(q, Query{Image: int32(first + i), Pair: int32(p), Sign: -1})
			}
		}
	}
	return q
}
