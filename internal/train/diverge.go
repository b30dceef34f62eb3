package train

import (
	"fmt"

	"github.com/flops-vit/flops/internal/uierr"
)

const (
	explodeFactor = 10   // times the first loss (or 1, where that is less)
	vanishedLoss  = 1e-9 // a mean batch loss below this is no longer a loss
)

// exploded says when a finite loss is no longer that of a model that learns:
// ten times the first one, or exactly nothing, which for cross-entropy means
// saturated logits, not success.
func (r *run) exploded(m *StepMetrics) error {
	if r.state.FirstLoss == 0 {
		r.state.FirstLoss = m.Loss
	}
	switch limit := explodeFactor * max(1, r.state.FirstLoss); {
	case m.Loss > limit:
		return &errDiverged{fmt.Sprintf("the loss is %.4g, the first one was %.4g", m.Loss, r.state.FirstLoss)}
	case m.Loss < vanishedLoss && r.t.X.Config.Objective.Kind == "cross_entropy":
		return &errDiverged{fmt.Sprintf("the loss fell to %.2g", m.Loss)}
	}
	return nil
}

// diverged stops the run, or goes back to the last checkpoint with a smaller
// rate. Queries that were spent stay spent.
func (r *run) diverged(d *errDiverged) error {
	c := r.t.X.Config.Train
	at := r.t.Step + 1
	if c.OnDivergence != "rollback" || r.state.Rollbacks >= c.MaxRollbacks {
		hint := "lower optimizer.lr, or set train.on_divergence: rollback; the last checkpoint is " + r.store.Dir(r.saved)
		if c.OnDivergence == "rollback" {
			hint = fmt.Sprintf("the rate was lowered %d times already; lower optimizer.lr", r.state.Rollbacks)
		}
		return uierr.New(fmt.Sprintf("step %d: %s", at, d.why), hint)
	}
	rollbacks, ledger, factor := r.state.Rollbacks+1, r.t.Ledger, r.t.Factor*c.RollbackFactor
	from, skipped, err := r.store.Latest()
	if err != nil {
		return err
	}
	for _, s := range skipped {
		r.o.Watch.Warned(s.Error())
	}
	if err := r.restore(from); err != nil {
		return err
	}
	r.state.Rollbacks, r.t.Ledger, r.t.Factor = rollbacks, ledger, factor
	r.o.Watch.Warned(fmt.Sprintf("step %d: %s; back to step %d with the learning rate times %.3g", at, d.why, from.Step, factor))
	if err := r.close(); err != nil {
		return err
	}
	return r.files() // cut back to the checkpoint
}
