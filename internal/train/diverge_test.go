package train

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
)

// wild is an experiment whose rate is far too large.
func wild(rate float64, on string) config.Config {
	c := tiny()
	c.Estimator.Name, c.Estimator.Own = "bp", lr.LearnSigma.With(c.Estimator.Own, false)
	c.Optimizer.Name, c.Optimizer.LR, c.Optimizer.Own = "sgd", rate, optim.Momentum.With(c.Optimizer.Own, 0)
	c.Train.OnDivergence, c.Train.RollbackFactor, c.Train.MaxRollbacks = on, 1e-3, 12
	c.Train.Steps, c.Train.EvalEvery, c.Checkpoint.Every = 8, 4, 1
	return c
}

// finiteCheckpoint wants every weight of the newest checkpoint to be a number.
func finiteCheckpoint(t *testing.T, dir string) *checkpoint.Checkpoint {
	t.Helper()
	c, _, err := (&checkpoint.Store{Run: dir}).Latest()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range c.Model.Tensors {
		for _, x := range v.Data {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				t.Fatalf("step %d: tensor %s has a %v", c.Step, v.Name, x)
			}
		}
	}
	return c
}

func TestDivergenceStops(t *testing.T) {
	for _, lr := range []float64{1e3, 1e20, 3e38} { // explodes, overflows in the forward, overflows in the update
		c := wild(lr, "stop")
		dir := t.TempDir()
		_, err := Run(context.Background(), open(t, c), RunOptions{Dir: dir, Watch: &quiet{}})
		e, ok := uierr.As(err)
		if !ok {
			t.Fatalf("rate %g: %v, want a mistake that the user can mend", lr, err)
		}
		if !strings.Contains(e.What, "step ") || !strings.Contains(e.Hint, "optimizer.lr") {
			t.Errorf("rate %g: %q, hint %q", lr, e.What, e.Hint)
		}
		finiteCheckpoint(t, dir)
	}
}

// TestDivergenceRollsBack saves after every step, so the newest checkpoint is
// one that has already diverged: the run must go further back.
func TestDivergenceRollsBack(t *testing.T) {
	for _, lr := range []float64{1e3, 1e20} {
		c := wild(lr, "rollback")
		dir, w := t.TempDir(), &quiet{}
		out, err := Run(context.Background(), open(t, c), RunOptions{Dir: dir, Watch: w})
		if err != nil {
			t.Fatalf("rate %g: %v (%q)", lr, err, w.warned)
		}
		if out.Step != c.Train.Steps || len(w.warned) == 0 {
			t.Fatalf("rate %g: ended at step %d after %d rollbacks", lr, out.Step, len(w.warned))
		}
		var s runs.State
		if err := finiteCheckpoint(t, dir).ReadState(&s); err != nil {
			t.Fatal(err)
		}
		if want := math.Pow(c.Train.RollbackFactor, float64(s.Rollbacks)); math.Abs(s.Factor/want-1) > 1e-12 ||
			s.Rollbacks != len(w.warned) {
			t.Errorf("rate %g: factor %g after %d rollbacks of %d told", lr, s.Factor, s.Rollbacks, len(w.warned))
		}
		r, err := Replay(context.Background(), open(t, c), dir, out.Step)
		if err != nil {
			t.Fatalf("rate %g: %v", lr, err)
		}
		weights(t, r, dir)
	}
}

// weights wants a trainer's weights to be those of the newest checkpoint.
func weights(t *testing.T, r *Trainer, dir string) {
	t.Helper()
	c := finiteCheckpoint(t, dir)
	saved := r.X.Saved() // with adapters
	for _, p := range r.X.Model.Params() {
		v, _ := c.Model.Tensor(p.Name)
		got, _ := saved.Tensor(p.Name)
		if len(got.Data) != len(p.Data) {
			t.Fatalf("%s: replayed %d numbers of %d", p.Name, len(got.Data), len(p.Data))
		}
		for i, w := range got.Data {
			if math.Float32bits(w) != math.Float32bits(v.Data[i]) {
				t.Fatalf("%s[%d]: replayed %v, the run had %v", p.Name, i, w, v.Data[i])
			}
		}
	}
}

// TestReplay rebuilds every kind of run bit for bit.
func TestReplay(t *testing.T) {
	for name, c := range methods() {
		t.Run(name, func(t *testing.T) {
			dir, x := whole(t, c), open(t, c)
			x.Warn = func(line string) { t.Errorf("a replay warns: %s", line) }
			r, err := Replay(context.Background(), x, dir, c.Train.Steps)
			if err != nil {
				t.Fatal(err)
			}
			weights(t, r, dir)
		})
	}
}

// One image that is known for certain has a cross-entropy of exactly 0, and its run goes
// on; the same of logits of a million is a divergence.
func TestNothingLeftToLose(t *testing.T) {
	for _, c := range []struct {
		loss   float64
		logits []float32
		ends   bool
	}{
		{0, []float32{20, -3}, false},
		{0, []float32{-3, 900}, false},
		{0, []float32{1e6, 0}, true},
		{0, []float32{0, -1e6}, true},
		{0.5, []float32{1e6, 0}, false},
		{11, []float32{20, -3}, true},
	} {
		x := &Experiment{Config: config.Default()}
		last := &lr.Step{Step: forward.Step{Clean: &forward.Clean{Logits: c.logits, Classes: 2}}}
		r := &run{t: &Trainer{X: x, last: last}}
		r.state.FirstLoss = 1
		err := r.exploded(&runs.StepMetrics{Loss: c.loss})
		if d := (*Diverged)(nil); errors.As(err, &d) != c.ends {
			t.Errorf("loss %g, logits %v: %v", c.loss, c.logits, err)
		}
	}
}
