package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
)

// Split is images that a run is measured on and does not train on.
type Split struct {
	Name   string // data.Validation or data.Test
	Data   data.Dataset
	Loader *data.Loader

	whole data.Dataset // of which Data is what train.eval_images leaves
	texts *Alignment   // nil where the objective is not contrastive
}

func (s *Split) close() {
	if s.Loader != nil {
		s.Loader.Close()
	}
	s.Data.Close()
}

// cost is the queries of measuring the split once.
func (s *Split) cost(x *Experiment) int64 {
	n := int64(s.Data.Len())
	if l := int64(x.Config.Train.EvalImages); l > 0 && l < n {
		return l
	}
	return n
}

// openSplits opens what the run is measured on: the test split, which has to be
// there unless there is a validation split.
func (x *Experiment) openSplits() (err error) {
	c := x.Config
	if c.Data.HasValidation() {
		if x.Validation, err = x.openSplit(data.Validation); err != nil {
			return err
		}
	}
	x.Test, err = x.openSplit(data.Test)
	if x.Validation == nil || !errors.Is(err, data.ErrNoSplit) {
		return err
	}
	if c.BestBy() == data.Test {
		e, _ := uierr.As(err)
		return uierr.Wrap(err, "checkpoint.best: test, and there is no test split: "+e.What,
			"set checkpoint.best: validation")
	}
	return nil
}

func (x *Experiment) openSplit(name string) (*Split, error) {
	d, err := data.Open(x.Config.Data, name)
	if err != nil {
		return nil, err
	}
	whole := d
	d = data.Balanced(d, x.Config.Train.EvalImages, x.Config.Data.SplitSeed)
	if err := sameClasses(x.TrainData, d, name); err != nil {
		d.Close()
		return nil, err
	}
	return &Split{Name: name, Data: d, whole: whole}, nil
}

// DropTest forgets the test split, so that nothing can be chosen by it.
func (x *Experiment) DropTest() {
	if x.Test != nil {
		x.Test.close()
		x.Test = nil
	}
}

// Splits are those that there are: validation before test.
func (x *Experiment) Splits() (all []*Split) {
	for _, s := range []*Split{x.Validation, x.Test} {
		if s != nil {
			all = append(all, s)
		}
	}
	return all
}

// Followed is the split that shows how the run does while it runs: validation
// where there is one, else test.
func (x *Experiment) Followed() *Split { return x.Splits()[0] }

// measured are the splits that an evaluation measures: along the run the one
// that is followed, and test where the best checkpoint is to be chosen by it; at
// the end every one.
func (x *Experiment) measured(end bool) []*Split {
	all := x.Splits()
	if end || x.Config.BestBy() == data.Test {
		return all
	}
	return all[:1]
}

// comparesBest says whether the end of the run measures the best checkpoint on
// the test split too: where it was chosen by another one.
func (x *Experiment) comparesBest() bool {
	return x.Test != nil && x.Config.BestBy() == data.Validation
}

// EvalCost is the queries of one evaluation along the run.
func (x *Experiment) EvalCost() int64 { return x.evalCost(false) }

// EndCost is the most queries that the evaluation after the last step takes.
func (x *Experiment) EndCost() int64 {
	n := x.evalCost(true)
	if x.comparesBest() {
		n += x.Test.cost(x)
	}
	return n
}

func (x *Experiment) evalCost(end bool) (n int64) {
	if x.Config.Train.Cosine {
		n += int64(x.Config.Train.BatchSize)
	}
	for _, s := range x.measured(end) {
		n += s.cost(x)
	}
	return n
}

// Evaluate measures the model on a split and counts it.
func (t *Trainer) Evaluate(ctx context.Context, s *Split) (*runs.Eval, error) {
	c := t.X.Config.Train
	evaluate := Evaluate
	if s.texts != nil {
		evaluate = s.texts.Evaluate
	}
	e, err := evaluate(ctx, t.X.Model, s.Loader.Sequential(c.BatchSize), c.EvalImages, t.Ledger, c.Metrics...)
	if err == nil {
		t.Ledger.Spare(runs.Evaluation, t.X.Cache.evaluated(s.Name, e.Images))
	}
	return e, err
}

// sameClasses refuses a split that has classes which the training split lacks:
// nothing could be learned of them.
func sameClasses(trained, other data.Dataset, split string) error {
	extra := data.Missing(other.Classes(), trained.Classes())
	if len(extra) == 0 {
		return nil
	}
	what := fmt.Sprintf("data.path: the %s split has classes that the training split lacks: %s", split,
		network.Names(extra))
	return uierr.New(what+"; the training split has "+network.Names(trained.Classes()),
		"give both splits the same classes, or list those to keep in data.classes")
}
