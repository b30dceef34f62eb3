package train

import (
	"context"
	"testing"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/testkit"
)

// plain is a network with the weights that a checkpoint's model has, and no adapters.
func plain(t *testing.T, c config.Config, of *checkpoint.Checkpoint) *Experiment {
	t.Helper()
	c.Sites.Train, c.Optimizer.EMA = "all", 0
	x := open(t, c)
	for _, p := range x.Model.Params() {
		v, ok := of.Model.Tensor(p.Name)
		if !ok {
			t.Fatalf("the checkpoint has no %s", p.Name)
		}
		copy(p.Data, v.Data)
	}
	NewTrainer(x).reload()
	return x
}

// TestOtherCheckpointsOfAdapters: where a run with adapters looks back at its best
// checkpoint, and where its page looks for the hardest images, what computes is the model
// that the checkpoint has, with that one's adapters and not the last ones, or none.
func TestOtherCheckpointsOfAdapters(t *testing.T) {
	for _, part := range []string{"lora", "core"} {
		for _, ema := range []float64{0, 0.5} {
			c := methods()["lora"]
			c.Sites.Train, c.Optimizer.EMA = part, ema
			c.Optimizer.LR, c.Data.Validation = 0.3, 0.25 // so large that the last step is not the best
			c.Train.EvalEvery, c.Train.Steps, c.Checkpoint.Every, c.Checkpoint.KeepBest = 1, 8, 1, true
			dir := t.TempDir()
			out, err := Run(context.Background(), open(t, c), RunOptions{Dir: dir, Watch: &quiet{}})
			testkit.Must(t, err)
			if out.BestTest == nil || out.BestTest.Step == out.Step {
				t.Fatalf("%s: the last checkpoint is the best", part)
			}
			store := &checkpoint.Store{Disk: fsys.OS, Run: dir}
			best, err := store.Best()
			testkit.Must(t, err)
			x := plain(t, c, best)
			want, err := NewTrainer(x).Evaluate(t.Context(), x.Test)
			testkit.Must(t, err)
			if got := out.BestTest.Loss(); got != want.Loss() || got == out.Eval.Loss() {
				t.Errorf("%s, average %g: the best checkpoint has a loss of %v, its model %v, the last one %v", part, ema, got,
					want.Loss(), out.Eval.Loss())
			}
			last, _, err := store.Latest()
			testkit.Must(t, err)
			hard, err := Hardest(t.Context(), open(t, c), dir, 1000, 1)
			testkit.Must(t, err)
			x = plain(t, c, last)
			b, err := x.Followed().Loader.Batch(hard[0].Index)
			testkit.Must(t, err)
			losses, err := x.losses(t.Context(), x.Followed(), b)
			testkit.Must(t, err)
			if x.Followed().Name != data.Validation || float64(losses[0]) != hard[0].Loss {
				t.Errorf("%s, average %g: the hardest image has a loss of %v, by the checkpoint's model %v", part, ema,
					hard[0].Loss, losses[0])
			}
		}
	}
}
