package forward

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/noise"
)

// Estimator turns the queries of a model into its gradient.
type Estimator struct {
	Asker
	// Number is that of the next Step, which decides its noise. A loop that goes on
	// from a checkpoint sets it.
	Number uint32
	// Seed is that of the allocator's draws in Step.
	Seed  uint64
	model Model
}

// NewEstimator makes an estimator of a model out of a way to ask.
func NewEstimator(m Model, a Asker) *Estimator { return &Estimator{Asker: a, model: m} }

// Step estimates the gradient of the mean loss of a batch. It runs the clean pass,
// lets the allocator share the budget (queries of each perturbation, of which
// per_site and tensor have one for every site or tensor) out, asks the queries, puts
// the gradient into Param.Grad of the parameters that Result.Params names, in place
// of what was there, and tells the allocator what was seen. The update is the
// caller's; a model that keeps anything made of its parameters must be told of it.
//
// Errors are those of the model and of the allocator; after one, the gradient is
// undefined, and the number of the step stays.
func (e *Estimator) Step(ctx context.Context, b *Batch, a alloc.Allocator, budget int) (*Result, error) {
	s, err := Begin(ctx, e.model, e, e.Number, b)
	if err != nil {
		return nil, err
	}
	asks := len(e.Plan(e.Number)) > 0
	if asks {
		if s.Counts, err = a.Allocate(e.signals(s), budget); err != nil {
			return nil, err
		}
		if err := e.check(s); err != nil {
			return nil, err
		}
	}
	r, err := e.Ask(ctx, e.model, s)
	if err != nil {
		return nil, err
	}
	r.Losses, r.Counts, r.Params = s.Clean.Losses, s.Counts, Touched(e.model, r.Records)
	for _, i := range r.Params {
		p := e.model.Params()[i]
		if p.Grad == nil {
			p.Grad = make([]float32, len(p.Data))
		}
		clear(p.Grad)
	}
	if err := e.Accumulate(ctx, s, r.Records); err != nil {
		return nil, err
	}
	r.Variance = Total(e.Variances(e.model, s, r.Records), b.Size)
	if err := e.Learn(s, r.Records); err != nil {
		return nil, err
	}
	if asks {
		a.Observe(alloc.Feedback{Step: int(e.Number), IDs: b.Index, Counts: s.Counts, Variance: r.Variance})
	}
	e.Number++
	return r, nil
}

// check refuses counts that the estimator cannot ask: an item without a direction
// would be missing from the gradient, and no direction has one query of two.
func (e *Estimator) check(s *Step) error {
	if len(s.Counts) != s.Batch.Size {
		return &OptionError{"Counts", fmt.Sprintf("%d of them for %d items", len(s.Counts), s.Batch.Size),
			"let the allocator give every item its queries", nil}
	}
	each := 1
	if p, ok := e.Asker.(interface{ perPair() int }); ok {
		each = p.perPair()
	}
	for i, n := range s.Counts {
		if n < each || n%each != 0 || n/each > noise.MaxPair {
			return &OptionError{"Counts", fmt.Sprintf("%d queries of item %d", n, i),
				fmt.Sprintf("make the allocator with Limits{Least: %d, Even: %v}", each, each == 2), nil}
		}
	}
	return nil
}

// signals are what an allocator may know of a step.
func (e *Estimator) signals(s *Step) alloc.Signals {
	c := s.Clean
	sig := alloc.Signals{Step: int(e.Number), Seed: e.Seed, IDs: s.Batch.Index, Losses: c.Losses,
		Features: c.Features, Dim: c.Dim}
	if len(c.Logits) > 0 && len(s.Batch.Labels) == s.Batch.Size {
		sig.Surprise = alloc.Surprise(c.Logits, c.Classes, s.Batch.Labels)
	}
	return sig
}
