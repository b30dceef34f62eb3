package tune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
)

// Try is one run of a search.
type Try struct {
	Sets     []string   // key=value of every axis
	Step     int        // that it was last measured after
	Eval     *runs.Eval // then, on the validation split; nil where it diverged
	Diverged string     // why, else empty

	plain  config.Config // the experiment with Sets
	config config.Config // of the run, which is shorter
	whole  int           // steps that the experiment would have
	dir    string
	step   int64      // queries of a step, in the mean
	at     int        // the step of this round
	now    *runs.Eval // what it measured then
	s      *Search
}

// try resolves the run at a point.
func (s *Search) try(point []string) (*Try, error) {
	t := &Try{s: s}
	for i, a := range s.Axes {
		t.Sets = append(t.Sets, a.Key+"="+point[i])
	}
	c, err := s.plan.Resolve(append(append([]string(nil), s.Arm.Set...), t.Sets...), func(string) {})
	if err != nil {
		return nil, err
	}
	if t.step, _, _, err = costOf(c); err != nil {
		return nil, err
	}
	t.plain, t.whole = c, max(1, int(s.Whole/t.step))
	c.Train.EvalEvery = max(1, int(s.Unit/t.step))
	miniature(&c, t.whole, min(t.whole, s.longest()*c.Train.EvalEvery))
	c.Budget.Early = 0 // a try that is cut short would have had more than its share
	c.Budget.MaxQueries, c.Train.OnDivergence, c.Train.TensorBoard, c.Train.LogEvery = 0, "stop", false, 1
	c.Checkpoint.Every, c.Checkpoint.KeepLast, c.Checkpoint.KeepBest = 0, 1, false
	c.Checkpoint.Best, c.Checkpoint.BestMetric = "none", ""
	t.config, t.dir = c, filepath.Join(s.plan.Dir, s.Arm.Name, "tries", folder(t.Sets))
	return t, nil
}

// miniature makes an experiment of so many steps a short one: what the schedule says
// in steps is shortened alike, and the rate grows, because the best constant rate of
// n noisy steps goes with 1/√n (Nemirovski and others, Robust stochastic
// approximation approach to stochastic programming, SIAM J. Optim. 19, 2009).
func miniature(c *config.Config, steps, short int) {
	share := float64(short) / float64(steps)
	c.Train.Steps = short
	c.Optimizer.LR /= math.Sqrt(share)
	c.Optimizer.MinLR /= math.Sqrt(share)
	c.Optimizer.Warmup = int(share * float64(c.Optimizer.Warmup))
	c.Optimizer.StepSize = max(1, int(share*float64(c.Optimizer.StepSize)))
	if n := lr.FeedbackWarmup.Of(c.Estimator.Own); n > 0 && share < 1 {
		c.Estimator.Own = lr.FeedbackWarmup.With(c.Estimator.Own, int(share*float64(n)))
	}
}

// folder is a name for a try that every file system takes.
func folder(sets []string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("=.-+_", r) {
			return r
		}
		return '_'
	}, strings.Join(sets, " "))
	return name
}

// own says whether a try's value on an axis is the one that the experiment has.
func (t *Try) own(axis int) bool {
	key := t.s.Axes[axis].Key
	for _, d := range config.Differences(t.s.Config, t.plain) {
		if d.Key == key {
			return false
		}
	}
	return true
}

// Now is what the try measured in this round, and after which step.
func (t *Try) Now() (*runs.Eval, int) { return t.now, t.at }

// queries is what the try has taken in training.
func (t *Try) queries() int64 { return int64(t.Step) * t.step }

// to trains until a length, in units, unless that is on record, and measures.
func (t *Try) to(ctx context.Context, length int, stop func() bool) error {
	step := min(length*t.config.Train.EvalEvery, t.config.Train.Steps)
	if t.Diverged != "" {
		return nil
	}
	if err := t.same(); err != nil {
		return err
	}
	e, err := t.recorded(step)
	if err == nil && e == nil {
		if err = t.run(ctx, step, stop); err == nil {
			e, err = t.recorded(step)
		}
	}
	last := step > t.Step
	t.Step, t.at, t.now = max(step, t.Step), step, e
	var d *train.Diverged
	if errors.As(err, &d) {
		t.Diverged, t.Eval = d.Error(), nil
		return nil
	}
	if err == nil && e == nil {
		err = fmt.Errorf("tune: %s was not measured after step %d", t.dir, step)
	}
	if last {
		t.Eval = e
	}
	return err
}

// same refuses a folder that holds another run.
func (t *Try) same() error {
	path := filepath.Join(t.dir, "config.yaml")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	have, err := config.Stored(path)
	if err != nil {
		return err
	}
	other := config.Differences(have, t.config)
	if len(other) == 0 {
		return nil
	}
	d := other[0]
	return uierr.New(fmt.Sprintf("%s is a try of another search: %s is %s there, and %s here", path, d.Key, d.From, d.To),
		"name another folder with --output, or go on with the options that it was begun with")
}

// recorded is what the validation split measured after a step, nil where it was not.
func (t *Try) recorded(step int) (found *runs.Eval, err error) {
	err = runs.EachStep(t.dir, func(m *runs.StepMetrics, bad error) error {
		if bad == nil && found == nil && m.Step == step {
			found = m.Validation
		}
		return nil
	})
	if err == nil || found != nil || errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	return nil, fmt.Errorf("tune: %w", err)
}

// run trains from where the try is until a step.
func (t *Try) run(ctx context.Context, step int, stop func() bool) error {
	x, err := train.Open(t.config, t.s.plan.Warn)
	if err != nil {
		return err
	}
	defer x.Close()
	x.DropTest()
	_, err = os.Stat(filepath.Join(t.dir, "config.yaml"))
	resume := err == nil
	if resume {
		err = x.Continue(t.dir, t.s.plan.Version, nil, false)
	} else if err = os.MkdirAll(t.dir, 0o755); err != nil {
		return uierr.Wrap(err, fmt.Sprintf("--output %s: %v", t.s.plan.Dir, err), "name a folder that can be written")
	} else {
		err = t.begin(x)
	}
	if err != nil {
		return err
	}
	w := &watch{warn: t.s.plan.Warn}
	out, err := train.Run(ctx, x, train.RunOptions{Dir: t.dir, Resume: resume, Watch: w,
		Stop: func() bool { return stop() || w.step >= step }})
	if err == nil && out.Step < step {
		err = ErrStopped
	}
	return err
}

func (t *Try) begin(x *train.Experiment) error {
	if err := x.WriteConfig(t.dir); err != nil {
		return err
	}
	return runs.WriteEnv(fsys.OS, t.dir, x.Describe(t.s.plan.Version))
}

// drop removes what only a run that goes on needs.
func (t *Try) drop() error { return os.RemoveAll(filepath.Join(t.dir, "checkpoints")) }

// ErrStopped says that a search was stopped before its end.
var ErrStopped = errors.New("tune: stopped")

// watch follows the steps of a try.
type watch struct {
	step int
	warn func(string)
}

func (w *watch) Begins(step int)                        { w.step = step }
func (w *watch) Stepped(m *runs.StepMetrics, _ float64) { w.step = m.Step }
func (w *watch) Evaluated(int, string, *runs.Eval)      {}
func (w *watch) Saved(int, string)                      {}
func (w *watch) Warned(line string)                     { w.warn(line) }
