package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/runs"
)

// evalDue says whether train.eval_every asks for an evaluation after a step.
func (x *Experiment) evalDue(step int) bool {
	n := x.Config.Train.EvalEvery
	return n > 0 && step%n == 0
}

// measuredAfter says whether the run is measured after a step: its last one, or where that is due.
func (x *Experiment) measuredAfter(step int) bool {
	return step == x.Config.Train.Steps || x.evalDue(step)
}

// evaluate measures what is due and was not measured after this very step, into
// the step's metrics where there is a step. end says that it is the run's last
// evaluation: then the test split is looked at, with these weights and, where
// it was another split that chose the best checkpoint, with that one's.
func (r *run) evaluate(ctx context.Context, m *runs.StepMetrics, end bool) error {
	for _, s := range r.t.X.measured(end) {
		if r.measuredNow(s) {
			continue
		}
		e, err := r.measure(ctx, s)
		if err != nil {
			return err
		}
		r.keep(m, s, e)
	}
	if end && r.t.X.comparesBest() {
		if err := r.testBest(ctx, m); err != nil {
			return err
		}
	}
	if m != nil {
		m.Queries = r.t.Ledger.Total().Queries
	}
	return nil
}

// measure is one split with the weights as they are, or with their average.
func (r *run) measure(ctx context.Context, s *Split) (*runs.Eval, error) {
	var e *runs.Eval
	if err := r.t.averaged(func() (err error) {
		e, err = r.t.Evaluate(query.OfSplit(ctx, s.Name), s)
		return err
	}); err != nil {
		return nil, err
	}
	r.o.Watch.Evaluated(r.t.Step, s.Name, e)
	if l := e.Loss(); math.IsNaN(l) || math.IsInf(l, 0) {
		return nil, &Diverged{fmt.Sprintf("the loss on the %s split is %v", s.Name, l)}
	}
	e.PerSecond = 0 // what is written must not depend on the clock
	return e, nil
}

// keep notes what a split measured after this step.
func (r *run) keep(m *runs.StepMetrics, s *Split, e *runs.Eval) {
	if m == nil {
		m = &runs.StepMetrics{}
	}
	if s == r.t.X.Validation {
		m.Validation, r.state.LastValidation, r.state.ValidationStep = e, e, r.t.Step
	} else {
		m.Eval, r.state.LastEval, r.state.EvalStep = e, e, r.t.Step
	}
	by := r.t.X.Config.BestBy()
	if by == "none" {
		by = r.t.X.Followed().Name // still told of at the end
	}
	if s.Name == by && runs.Better(r.state.Best, e, r.t.X.Config.Checkpoint.BestMetric) == e {
		r.state.Best = e
		r.bestNow = r.t.X.Config.BestBy() != "none"
	}
}

// measuredAll says whether the end of the run has nothing left to measure.
func (r *run) measuredAll() bool {
	return !slices.ContainsFunc(r.t.X.measured(true), func(s *Split) bool { return !r.measuredNow(s) })
}

func (r *run) measuredNow(s *Split) bool {
	if s == r.t.X.Validation {
		return r.state.LastValidation != nil && r.state.ValidationStep == r.t.Step
	}
	return r.state.LastEval != nil && r.state.EvalStep == r.t.Step
}

// testBest measures the best checkpoint on the test split, unless it is these
// very weights.
func (r *run) testBest(ctx context.Context, m *runs.StepMetrics) error {
	r.state.BestTest = nil
	if r.bestNow {
		return nil
	}
	best, err := r.store.Best()
	if err != nil { // rolled back, or removed by hand: no reason to lose the end of a run
		r.o.Watch.Warned(fmt.Sprintf("the best checkpoint is not measured on the test split: %v", err))
		return nil
	}
	if best.Step == r.t.Step {
		return nil
	}
	var e *runs.Eval
	if err := r.t.as(best, func() (err error) {
		e, err = r.t.Evaluate(ctx, r.t.X.Test)
		return err
	}); err != nil {
		return err
	}
	r.o.Watch.Evaluated(r.t.Step, runs.BestOnTest, e)
	e.PerSecond = 0
	r.state.BestTest = &runs.BestEval{Step: best.Step, Eval: *e}
	if m != nil {
		m.Best = r.state.BestTest
	}
	return nil
}

// as lends the model a checkpoint's weights.
func (t *Trainer) as(c *checkpoint.Checkpoint, f func() error) error {
	if err := t.X.settle(); err != nil {
		return err
	}
	kept := make([][]float32, len(t.X.Trained))
	for i, p := range t.X.Trained {
		kept[i] = append([]float32(nil), p.Data...)
	}
	defer func() {
		for i, p := range t.X.Trained {
			copy(p.Data, kept[i])
		}
		t.reload()
	}()
	if err := t.weights(c); err != nil {
		return err
	}
	return f()
}
