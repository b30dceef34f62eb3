package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/settings"
)

// Trainer takes the steps of one run.
type Trainer struct {
	X      *Experiment
	Ledger *runs.Ledger
	Step   int     // updates made
	Factor float64 // on the learning rate, below 1 after rollbacks

	most  int              // queries that the perturbations of the next step may have in all, 0: any
	last  *lr.Step         // of the last TakeStep
	asked []forward.Record // of the last TakeStep
	ahead *ahead           // nil: steps are not written down
}

// NewTrainer starts a run at step 0.
func NewTrainer(x *Experiment) *Trainer {
	return &Trainer{X: x, Ledger: runs.NewLedger(), Factor: 1}
}

// Last is the last step taken, with its clean pass and the queries of each
// image; nil before the first.
func (t *Trainer) Last() *lr.Step { return t.last }

// fits is the budget per perturbation of the next step: the config's, less where that
// takes more than what is left of max_queries; 0 says that not even the fewest queries fit.
func (t *Trainer) fits(left int64) int {
	x, c := t.X, t.X.Config
	full, b := c.QueriesAt(t.Step), int64(c.Train.BatchSize)
	if _, ok := x.twoSided(); ok { // its queries do not grow with the images
		if left < x.StepCost(t.Step).Queries {
			return 0
		}
		return full
	}
	least := min(c.LeastPass(), full)
	passes := len(lr.Plan(x.Estimator, uint32(t.Step)))
	fit := func(n int) bool { return b+int64(x.Sharer.Least(passes, c.Train.BatchSize, n)) <= left }
	switch {
	case !fit(least):
		return 0
	case fit(full):
		return full
	}
	return c.Shareable(least + sort.Search(full-least, func(k int) bool { return !fit(least + k + 1) }))
}

// Diverged is the cause of the error of a run whose numbers are no longer those of a
// model that learns.
type Diverged struct{ why string }

// Error says which number it was.
func (e *Diverged) Error() string { return e.why }

// TakeStep makes one update with a budget of queries per perturbation.
func (t *Trainer) TakeStep(ctx context.Context, budget int) (*runs.StepMetrics, error) {
	x := t.X
	b, err := t.batch()
	if err != nil {
		return nil, err
	}
	exact, err := t.exactly(ctx, b)
	if err != nil {
		return nil, err
	}
	s, r, params, err := t.ask(ctx, b, budget)
	if err != nil {
		return nil, err
	}
	cosines := t.cosines(exact, params)
	seen, err := x.seen(s, r.Records)
	if err != nil {
		return nil, err
	}
	m, err := t.update(s, r.Records, params)
	if err != nil {
		return nil, err
	}
	if len(s.Counts) > 0 {
		m.Ratio = x.Sharer.Ratio(seen)
		x.Sharer.Observe(t.Step-1, b.Index, seen)
		m.MinShare, m.MaxShare = extremes(s.Counts)
		m.Alloc = settings.ParamsOf(x.Sharer.Allocator())
	}
	x.learned(m)
	m.Cosine = cosines
	if m.Accuracy, err = x.batchAccuracy(s.Clean, b.Labels); err != nil {
		return nil, err
	}
	m.Epoch = x.Loader.Epoch(t.Step - 1)
	m.Queries = t.Ledger.Total().Queries
	t.last, t.asked = s, r.Records
	return m, nil
}

// ask makes the gradient of a step, and counts what it cost, in the parameters
// that it lists.
func (t *Trainer) ask(ctx context.Context, b *forward.Batch, budget int) (*lr.Step, *forward.Result, []int, error) {
	x, began := t.X, time.Now()
	s, err := lr.Prepare(ctx, x.Model, x.Estimator, uint32(t.Step), b)
	if err != nil {
		return nil, nil, nil, err
	}
	t.clean(b.Size, began)
	t.Ledger.Spare(runs.CleanPass, x.Cache.visit(t.Step))
	if s.Asks(x.Estimator) {
		if err := t.allocate(s, budget); err != nil {
			return nil, nil, nil, err
		}
	}
	began = time.Now()
	r, err := t.answer(ctx, s)
	if err != nil {
		return nil, nil, nil, err
	}
	params, err := lr.Apply(ctx, x.Model, x.Estimator, s, r.Records)
	if err != nil {
		return nil, nil, nil, err
	}
	t.Ledger.Charge(x.Model, runs.Perturbed, r.Queries, r.FLOPs, began)
	return s, r, params, nil
}

// batch is that of the next step, before whose clean pass the gradient is cleared.
func (t *Trainer) batch() (*forward.Batch, error) {
	t.X.hold()
	t.X.forget()
	return t.X.Loader.Batch(t.Step)
}

// clean counts a clean pass of n images.
func (t *Trainer) clean(n int, began time.Time) {
	t.Ledger.Charge(t.X.Model, runs.CleanPass, int64(n), int64(n)*t.X.Model.ForwardFLOPs(), began)
}

func (t *Trainer) allocate(s *lr.Step, budget int) (err error) {
	began := time.Now()
	err = t.X.share(s, t.X.Signals(t.Step, s), budget, t.most)
	t.Ledger.Spend(runs.Allocator, 0, 0, began)
	return err
}

// update applies the gradient and checks that the numbers are sound. It is also
// what a replay runs, so it looks at nothing but the gradient and the records.
func (t *Trainer) update(s *lr.Step, records []forward.Record, params []int) (*runs.StepMetrics, error) {
	x := t.X
	m := &runs.StepMetrics{Loss: mean(s.Clean.Losses), LR: x.Schedule.At(t.Step) * t.Factor}
	params = slices.DeleteFunc(slices.Clone(params), func(i int) bool { return x.Model.Params()[i].Grad == nil })
	var with []*forward.Param
	for _, i := range params {
		with = append(with, x.Model.Params()[i])
	}
	with, err := x.temperatureGradient(x.adapters.Through(with), s.Clean)
	if err != nil {
		return nil, err
	}
	if err := x.step(with, params, m); err != nil {
		return nil, err
	}
	if x.align != nil {
		x.align.loss.Bound()
	}
	if e, ok := x.Estimator.(lr.Asker); ok {
		if err := e.Learn(&s.Step, records); err != nil {
			return nil, err
		}
	}
	t.Step++
	if x.average != nil {
		x.average.Update(t.Step)
	}
	m.Step = t.Step
	return m, nil
}

func sound(m *runs.StepMetrics) error {
	switch {
	case math.IsNaN(m.Loss) || math.IsInf(m.Loss, 0):
		return &Diverged{fmt.Sprintf("the loss is %v", m.Loss)}
	case math.IsNaN(m.GradNorm) || math.IsInf(m.GradNorm, 0):
		return &Diverged{fmt.Sprintf("the norm of the gradient is %v", m.GradNorm)}
	}
	return nil
}

// finite refuses weights that an update made NaN or infinite, before anything
// saves them.
func finite(with []*forward.Param) error {
	for _, p := range with {
		for _, v := range p.Data {
			if v-v != 0 { // NaN for both
				return &Diverged{fmt.Sprintf("the update made a weight of %s %v", p.Name, v)}
			}
		}
	}
	return nil
}

func mean(v []float32) float64 {
	var s float64
	for _, x := range v {
		s += float64(x)
	}
	return s / float64(max(1, len(v)))
}

func extremes(n []int) (lo, hi int) {
	lo, hi = n[0], n[0]
	for _, v := range n {
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo, hi
}
