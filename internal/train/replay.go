package train

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/journal"
	"github.com/flops-vit/flops/internal/journal/steps"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
)

// record is a step as the journal keeps it.
func (t *Trainer) record(s *lr.Step, records []forward.Record) *steps.Record {
	r := &steps.Record{Step: s.Number, Seed: uint64(t.X.Config.Train.Seed), Images: s.Batch.Index, Values: t.stepValues()}
	for _, n := range s.Counts {
		r.Counts = append(r.Counts, uint32(n))
	}
	r.Chance = s.Chance
	for _, a := range records {
		r.Parts = append(r.Parts, steps.Coefficients{Perturbation: a.Perturbation, Coefs: a.Coefs, Mean: a.Mean,
			Share: a.Share})
	}
	return r
}

// recordsOf are the estimator's records in a step of the journal.
func recordsOf(rec *steps.Record) []forward.Record {
	var records []forward.Record
	for _, p := range rec.Parts {
		records = append(records, forward.Record{Perturbation: p.Perturbation, Coefs: p.Coefs, Mean: p.Mean,
			Share: p.Share})
	}
	return records
}

// Replay rebuilds the weights after a number of steps from a run's first
// checkpoint and its journal. No query is asked: a clean pass gives each step's
// inputs, the journal its coefficients, and the counter its noise. A model that can
// only be called must answer its metadata, but the clean passes are found among the
// answers that the run folder keeps.
func Replay(ctx context.Context, x *Experiment, dir string, to int) (*Trainer, error) {
	return x.walk(ctx, dir, to, func(*Trainer) error { return nil })
}

// walk is the one way along a run's journal: it rebuilds the run step by step in
// its experiment and calls visit after each. The experiment must be the run's,
// and its data what the run saw.
func (x *Experiment) walk(ctx context.Context, dir string, to int, visit func(*Trainer) error) (*Trainer, error) {
	if err := x.isOf(dir); err != nil {
		return nil, err
	}
	if err := x.attach(ctx, fsys.OS, dir, true); err != nil {
		return nil, err
	}
	store := &checkpoint.Store{Disk: fsys.OS, Run: dir}
	first, err := store.Load(0)
	if err != nil {
		return nil, err
	}
	t := NewTrainer(x)
	if err := t.load(first); err != nil {
		return nil, err
	}
	if err := x.openCache(dir); err != nil {
		return nil, err
	}
	j, err := journal.Open(filepath.Join(dir, "journal.bin"))
	if err != nil {
		return nil, err
	}
	defer j.Close()
	said := loggedLosses(dir)
	for t.Step < to {
		rec, err := steps.Next(j)
		if err == io.EOF {
			return nil, uierr.New(fmt.Sprintf("%s: the journal ends at step %d", dir, t.Step),
				fmt.Sprintf("name a step of at most %d", t.Step))
		}
		if err != nil {
			return nil, err
		}
		if err := t.replayStep(ctx, rec); err != nil {
			return nil, err
		}
		if err := said.agree(t); err != nil {
			return nil, err
		}
		if err := visit(t); err != nil {
			return nil, err
		}
	}
	return t, x.release()
}

// isOf refuses to walk along a run with another experiment, by the keys that
// differ, or with other data.
func (x *Experiment) isOf(dir string) error {
	path := filepath.Join(dir, "config.yaml")
	if _, err := os.Stat(path); err == nil {
		before, err := config.Stored(path)
		if err != nil {
			return err
		}
		err = refuse(dir, config.Differences(before, x.Config), append(recorded, changeable...),
			"give the run's own experiment, --config "+path+"; allocator.* and budget.* may be others")
		if err != nil {
			return err
		}
	}
	if _, err := x.journalHash(dir); err != nil {
		return err
	}
	env, err := runs.ReadEnv(dir)
	if err != nil || env == nil {
		return err
	}
	x.Schedule.Steps = env.RateSteps(x.Config)
	now := x.Describe("")
	x.warnOfModel(env, now)
	if err := x.sameArithmetic(env, now); err != nil {
		return err
	}
	if line, noted := x.formChanged(env); noted {
		return uierr.New(line, newOrOld)
	}
	if other := env.DataChanges(now); len(other) > 0 {
		return uierr.New(fmt.Sprintf("data.path: %s is not what the run saw: %s", x.Config.Data.Path, strings.Join(other, "; ")),
			"restore the data")
	}
	return nil
}

// replayStep is TakeStep with the answers known.
func (t *Trainer) replayStep(ctx context.Context, rec *steps.Record) error {
	if int(rec.Step) != t.Step {
		return fmt.Errorf("train: the journal has step %d where %d was to come", rec.Step, t.Step)
	}
	s, err := t.prepare(ctx)
	if err != nil {
		return err
	}
	return t.take(ctx, s, rec)
}

// prepare loads the batch of the coming step and runs its clean pass.
func (t *Trainer) prepare(ctx context.Context) (*lr.Step, error) {
	b, err := t.batch()
	if err != nil {
		return nil, err
	}
	return lr.Prepare(ctx, t.X.Model, t.X.Estimator, uint32(t.Step), b)
}

// take ends a step that is prepared as its record says: it makes the gradient from the
// coefficients, or has it from the preparation where no query was asked, and the update.
func (t *Trainer) take(ctx context.Context, s *lr.Step, rec *steps.Record) error {
	x := t.X
	for i, v := range rec.Images {
		if i >= len(s.Batch.Index) || s.Batch.Index[i] != v {
			return uierr.New(fmt.Sprintf("step %d: image %d is not the one that the run saw", t.Step, i),
				"the data folder changed since the run; restore it (env.json has its checksum)")
		}
	}
	t.setValues(rec.Values)
	s.Chance, s.Counts = rec.Chance, nil
	for _, n := range rec.Counts {
		s.Counts = append(s.Counts, int(n))
	}
	records := recordsOf(rec)
	params, err := lr.Apply(ctx, x.Model, x.Estimator, s, records)
	if err != nil {
		return err
	}
	t.last, t.asked = s, records
	_, err = t.update(s, records, params)
	return err
}
