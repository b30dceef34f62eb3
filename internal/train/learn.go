package train

import (
	"context"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
)

// ReplayLearning rebuilds a run up to a step and lets allocators learn on the
// way, each as if it had been there: it allocates from the same signals, and
// observes the variance that the run's own queries showed. That gives every
// allocator the history that a fair comparison after training needs, for the
// price of one clean pass per step. after, where it is not nil, is told of every
// step that the allocators learned from.
func ReplayLearning(ctx context.Context, x *Experiment, dir string, to int, all []alloc.Allocator,
	after func(step int)) (*Trainer, error) {
	return x.walk(ctx, dir, to, func(t *Trainer) error {
		if t.last == nil || len(t.last.Counts) == 0 {
			return nil
		}
		step := t.Step - 1
		v, err := x.Variance(t.last, t.asked)
		if err != nil {
			return err
		}
		sig := x.Signals(step, t.last)
		total := 0
		for _, n := range t.last.Counts {
			total += n
		}
		if least := len(t.last.Counts) * x.Config.LeastDirection(); total < least || x.Config.Draws() {
			total = 2 * max(total, least) // some were drawn, and allocators give to all
		}
		for _, a := range all {
			counts, err := a.Allocate(sig, total)
			if err != nil {
				return err
			}
			a.Observe(alloc.Feedback{Step: step, IDs: t.last.Batch.Index, Counts: counts, Asked: t.last.Counts, Variance: v})
		}
		if after != nil {
			after(t.Step)
		}
		return nil
	})
}

// Variance is V̂_i of a step's images from its recorded coefficients.
func (x *Experiment) Variance(s *lr.Step, records []forward.Record) ([]float64, error) {
	seen, err := x.seen(s, records)
	return x.Sharer.Combined(seen, s.Batch.Size), err
}

// Signals are what an allocator would see on the batch of a clean pass.
func (x *Experiment) Signals(step int, s *lr.Step) alloc.Signals {
	sig := signals(step, x.Loader.Epoch(step), uint64(x.Config.Train.Seed), s.Batch, s.Clean)
	if x.align != nil {
		sig.Surprise = surpriseOf(s.Clean)
	}
	return sig
}
