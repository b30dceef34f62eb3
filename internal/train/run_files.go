package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/flops-vit/flops/internal/journal"
	"github.com/flops-vit/flops/internal/runs"
)

// open starts or continues the files of the run folder.
func (r *run) open(ctx context.Context) error {
	if err := r.o.Disk.MkdirAll(r.o.Dir); err != nil {
		return fmt.Errorf("run folder %s: %w", r.o.Dir, err)
	}
	if r.o.Resume {
		if err := r.resume(); err != nil {
			return err
		}
	}
	// What a called model said of a step is among its answers, where it is counted too.
	if err := r.files(r.t.X.remote == nil); err != nil {
		return err
	}
	if err := r.t.X.openCache(r.o.Dir); err != nil {
		return err
	}
	if err := r.t.X.attach(ctx, r.o.Disk, r.o.Dir, false); err != nil {
		return err
	}
	if r.o.Resume {
		r.state.Lost = r.t.X.chargeLost(r.t.Ledger, r.state.Lost)
		r.t.X.owe(r.t.Ledger)
	}
	r.t.Ledger.Charge(r.t.X.Model, runs.CleanPass, 0, 0, time.Now()) // what learning the label mapping asked
	if r.saved < 0 {
		r.t.clean(r.t.X.cores.images, time.Now())
		return r.save(false)
	}
	return nil
}

// files opens the run's files where the state says they end, or the journal behind
// the tail that it has beyond.
func (r *run) files(tail bool) error {
	path := func(name string) string { return filepath.Join(r.o.Dir, name) }
	hash, err := r.t.X.fingerprint(r.t.X.Config), error(nil)
	if r.state.Journal > 0 {
		if hash, err = r.t.X.journalHash(r.o.Dir); err != nil {
			return err
		}
	}
	if r.metrics, err = journal.OpenLines(r.o.Disk, path("metrics.jsonl"), r.state.Metrics); err != nil {
		return err
	}
	if r.summary, err = runs.OpenSummary(r.o.Disk, path("summary.csv"), r.state.Summary,
		r.t.X.Validation != nil, r.t.X.Config.Train.Metrics); err != nil {
		return err
	}
	if r.clock, err = runs.OpenClock(r.o.Disk, path("clock.csv"), r.state.Clock, r.seconds()); err != nil {
		return err
	}
	r.t.ahead, err = openAhead(r, hash, tail)
	return err
}

// seconds are those that the steps took so far; of a checkpoint without a clock,
// what its ledger says.
func (r *run) seconds() float64 {
	if r.state.Clock == 0 && r.t.Step > 0 {
		return r.t.Ledger.Total().Seconds - r.t.Ledger.Of(runs.Evaluation).Seconds
	}
	return r.state.Seconds
}

// resume restores the last sound checkpoint; a run that was stopped before its
// first one starts over.
func (r *run) resume() error {
	steps, err := r.store.Steps()
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		return nil
	}
	c, err := r.newest()
	if err != nil {
		return err
	}
	r.saved = c.Step
	return r.restore(c)
}

// close ends the run's files and a called model's answers.
func (r *run) close() error { return errors.Join(r.t.X.closeAnswers(), r.closeFiles()) }

// closeFiles ends what files opened.
func (r *run) closeFiles() error {
	var errs []error
	if r.metrics != nil {
		errs = append(errs, r.metrics.Close())
	}
	if r.t.ahead != nil {
		errs = append(errs, r.t.ahead.close())
	}
	if r.summary != nil {
		errs = append(errs, r.summary.Close())
	}
	if r.clock != nil {
		errs = append(errs, r.clock.Close())
	}
	r.metrics, r.t.ahead, r.summary, r.clock = nil, nil, nil, nil
	return errors.Join(errs...)
}
