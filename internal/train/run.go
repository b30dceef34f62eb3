package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/journal"
	"github.com/flops-vit/flops/internal/journal/steps"
	"github.com/flops-vit/flops/internal/runs"
)

// Watcher is told how a run goes; a terminal, a log and TensorBoard are.
type Watcher interface {
	Begins(step int) // the steps after this one come now, at the start or again: what came of them before is void
	Stepped(m *runs.StepMetrics, queriesPerSecond float64)
	Evaluated(step int, split string, e *runs.Eval) // split: data.Validation, data.Test or runs.BestOnTest
	Saved(step int, dir string)
	Warned(line string)
}

// Clocked is a Watcher that is told, before a step's evaluations, how long the steps
// took so far.
type Clocked interface {
	Clocked(step int, seconds float64)
}

// RunOptions say where a run is written and who watches it.
type RunOptions struct {
	Dir    string
	Resume bool
	Watch  Watcher
	Disk   fsys.FS              // nil: the disk
	Stop   func() bool          // asked after every step; true saves and ends
	Each   func(*Trainer) error // after every step, for what is logged with images
	// Taken is told of every step when its record is on the disk, before the update; nil: nobody is.
	Taken func(*steps.Record) error
}

// Outcome is how a run ended.
type Outcome struct {
	Step       int
	Eval       *runs.Eval     // of the test split; nil where there is none
	Validation *runs.Eval     // nil where there is no such split
	Best       *runs.Eval     // the best so far of the split that config.BestBy names
	BestTest   *runs.BestEval // the best checkpoint on the test split, where it is another one
	Stopped    string         // why it ended before its last step; empty: it did not
	Dir        string         // the last checkpoint
}

type run struct {
	o       RunOptions
	t       *Trainer
	store   *checkpoint.Store
	metrics *journal.Lines
	summary *runs.Summary
	clock   *runs.Clock
	state   runs.State
	sight   sight
	saved   int  // step of the last checkpoint, -1: none
	bestNow bool // the last evaluation was the best yet and is not saved
}

// Run trains from the start, or from the last checkpoint of Dir.
func Run(ctx context.Context, x *Experiment, o RunOptions) (*Outcome, error) {
	if o.Disk == nil {
		o.Disk = fsys.OS
	}
	c := x.Config.Checkpoint
	r := &run{o: o, t: NewTrainer(x), saved: -1, store: &checkpoint.Store{Disk: o.Disk, Run: o.Dir,
		Retain: checkpoint.Retention{KeepLast: c.KeepLast, KeepBest: x.Config.BestBy() != "none", KeepFirst: true}}}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.close())
	}
	out, err := r.loop(ctx)
	return out, errors.Join(err, r.close())
}

// loop takes steps until the last one, the budget's end, a stop or a failure, and measures
// what the run has come to.
func (r *run) loop(ctx context.Context) (*Outcome, error) {
	r.o.Watch.Begins(r.t.Step)
	for {
		out := &Outcome{}
		if err := r.steps(ctx, out); err != nil {
			return nil, err
		}
		if out.Stopped == "interrupted" || r.measuredAll() {
			return r.finish(out)
		}
		err := r.evaluate(ctx, nil, true)
		if err == nil {
			return r.finish(out)
		}
		var b *Back
		if !errors.As(err, &b) {
			return nil, err
		}
		if err := r.back(b); err != nil {
			return nil, err
		}
	}
}

// steps takes steps until the last one; out says why it ended before.
func (r *run) steps(ctx context.Context, out *Outcome) error {
	x, t := r.t.X, r.t
	for t.Step < x.Config.Train.Steps {
		if r.o.Stop != nil && r.o.Stop() {
			out.Stopped = "interrupted"
			break
		}
		budget, why := r.budget()
		if budget == 0 {
			out.Stopped = why
			break
		}
		at := t.Step
		if err := r.step(ctx, budget); err != nil {
			if err := r.recover(err, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// recover goes on after a step that failed, where there is a way.
func (r *run) recover(err error, at int) error {
	var d *Diverged
	var b *Back
	switch {
	case errors.As(err, &b):
		return r.back(b)
	case errors.As(err, &d):
		return r.diverged(d, at)
	}
	return err
}

// budget is the queries per perturbation of the next step: the config's, less
// where max_queries would be passed, keeping what the last evaluation needs.
func (r *run) budget() (int, string) {
	c := r.t.X.Config
	if c.Budget.MaxQueries == 0 {
		return c.QueriesAt(r.t.Step), ""
	}
	left := c.Budget.MaxQueries - r.t.Ledger.Total().Queries - r.t.X.reserved(r.t.Step)
	r.t.most = int(min(left-int64(c.Train.BatchSize), math.MaxInt32))
	if n := r.t.fits(left); n > 0 {
		return n, ""
	}
	return 0, fmt.Sprintf("budget.max_queries: %d queries are spent", r.t.Ledger.Total().Queries)
}

// step takes one step and writes what it said.
func (r *run) step(ctx context.Context, budget int) error {
	began := time.Now()
	before := r.t.Ledger.Total().Queries
	m, err := r.t.TakeStep(ctx, budget)
	if err != nil {
		r.clock.Add(time.Since(began))
		return err
	}
	if err := r.exploded(m); err != nil {
		return err
	}
	if line := r.sight.look(r.t.X, r.t.last, r.t.asked); line != "" {
		r.o.Watch.Warned(line)
	}
	took := time.Since(began)
	r.clock.Add(took)
	if w, ok := r.o.Watch.(Clocked); ok {
		w.Clocked(m.Step, r.clock.Seconds())
	}
	rate := float64(m.Queries-before) / took.Seconds()
	r.state.Epoch.Add(m)
	if r.t.X.evalDue(m.Step) {
		if err := r.evaluate(ctx, m, false); err != nil {
			return err
		}
	}
	last := r.last()
	if last {
		if err := r.evaluate(ctx, m, true); err != nil {
			return err
		}
	}
	if err := r.endEpoch(m, last); err != nil {
		return err
	}
	if n := max(1, r.t.X.Config.Train.LogEvery); m.Step%n == 0 || m.Evaluated() {
		if err := errors.Join(r.metrics.Append(m), r.clock.Log(m.Step)); err != nil {
			return err
		}
	}
	r.o.Watch.Stepped(m, rate)
	if r.bestNow {
		r.bestNow = false
		if err := r.save(true); err != nil {
			return err
		}
	}
	if r.o.Each != nil {
		if err := r.o.Each(r.t); err != nil {
			return err
		}
	}
	if n := r.t.X.Config.Checkpoint.Every; n > 0 && m.Step%n == 0 && r.saved != m.Step {
		return r.save(false)
	}
	return nil
}

// last says whether the step just taken was the run's last: of all, or that max_queries pays for.
func (r *run) last() bool {
	_, spent := r.budget()
	return r.t.Step == r.t.X.Config.Train.Steps || spent != ""
}

// endEpoch writes the epoch's line after its last step, or the run's.
func (r *run) endEpoch(m *runs.StepMetrics, last bool) error {
	if !last && r.t.X.Loader.Epoch(m.Step) == m.Epoch {
		return nil
	}
	e := r.state.Epoch
	r.state.Epoch = runs.Epoch{}
	return r.summary.End(m, e, r.state.LastValidation, r.state.LastEval)
}

// save writes a checkpoint of the run as it stands.
func (r *run) save(best bool) error {
	c, err := r.checkpoint()
	if err != nil {
		return err
	}
	if err := r.store.Save(c, best); err != nil {
		return err
	}
	r.saved = r.t.Step
	r.o.Watch.Saved(r.t.Step, r.store.Dir(r.t.Step))
	return runs.WriteLedger(r.o.Disk, r.o.Dir, r.t.Ledger)
}

// finish saves the end of the run.
func (r *run) finish(out *Outcome) (*Outcome, error) {
	if r.saved != r.t.Step || r.bestNow {
		if err := r.save(r.bestNow); err != nil {
			return nil, err
		}
	}
	s := r.state
	out.Step, out.Dir, out.Best = r.t.Step, r.store.Dir(r.t.Step), s.Best
	out.Eval, out.Validation, out.BestTest = s.LastEval, s.LastValidation, s.BestTest
	return out, runs.WriteLedger(r.o.Disk, r.o.Dir, r.t.Ledger)
}
