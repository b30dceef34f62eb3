package train

import (
	"fmt"
	"math"

	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
)

const (
	explodeFactor = 10   // times the first loss (or 1, where that is less)
	vanishedLoss  = 1e-9 // a mean batch loss below this is none
	saturated     = 1e4  // logits beyond this are no longer those of an answer
)

// exploded says when a finite loss is no longer that of a model that learns:
// ten times the first one, or exactly nothing from saturated logits. Of cross-entropy
// float32 leaves nothing where a right answer is 17 ahead of the others, which one image,
// or a few, may well be: that is success.
func (r *run) exploded(m *runs.StepMetrics) error {
	if r.state.FirstLoss == 0 {
		r.state.FirstLoss = m.Loss
	}
	switch limit := explodeFactor * max(1, r.state.FirstLoss); {
	case m.Loss > limit:
		return &Diverged{fmt.Sprintf("the loss is %.4g, the first one was %.4g", m.Loss, r.state.FirstLoss)}
	case m.Loss < vanishedLoss && r.t.X.Config.Objective.Kind == "cross_entropy":
		if most := largest(r.t.Last().Clean.Logits); most > saturated {
			return &Diverged{fmt.Sprintf("the loss fell to %.2g, with logits of %.2g", m.Loss, most)}
		}
	}
	return nil
}

// largest is the largest magnitude of some numbers.
func largest(v []float32) (most float64) {
	for _, x := range v {
		most = max(most, math.Abs(float64(x)))
	}
	return most
}

// diverged stops the run, or goes back to the last good checkpoint with a
// smaller rate; step is the number of updates before the one that failed.
// Queries that were spent stay spent.
func (r *run) diverged(d *Diverged, step int) error {
	c := r.t.X.Config.Train
	if c.OnDivergence != "rollback" || r.state.Rollbacks >= c.MaxRollbacks {
		hint := "start anew with a lower optimizer.lr, or go on from " + r.store.Dir(r.saved) + " by --resume with --set train.on_divergence=rollback"
		if c.OnDivergence == "rollback" {
			hint = fmt.Sprintf("the rate was lowered %d times already; lower optimizer.lr", r.state.Rollbacks)
		}
		return uierr.Failed(d, fmt.Sprintf("step %d: %s", step+1, d.why), hint)
	}
	seconds := r.clock.Seconds() // what was in vain was time too
	rollbacks, ledger, factor := r.state.Rollbacks+1, r.t.Ledger, r.t.Factor*c.RollbackFactor
	if step == r.saved && step > 0 {
		if err := r.discard(step); err != nil {
			return err
		}
	}
	from, err := r.rewind()
	if err != nil {
		return err
	}
	r.state.Rollbacks, r.t.Ledger, r.t.Factor, r.state.Seconds = rollbacks, ledger, factor, seconds
	r.o.Watch.Warned(fmt.Sprintf("step %d: %s; back to step %d with the learning rate times %.3g", step+1, d.why, from, factor))
	r.o.Watch.Begins(from)
	return r.reopen()
}

// discard removes a checkpoint whose very first step failed: its weights are
// those that diverged. It goes before the files are cut back, so that a run
// killed in between resumes from the one before and comes to this point again.
func (r *run) discard(step int) error {
	steps, err := r.store.Steps()
	if err != nil || len(steps) < 2 {
		return err
	}
	if err := r.o.Disk.RemoveAll(r.store.Dir(step)); err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", step, err)
	}
	return nil
}
