package cuda_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/train"
)

// hidden is an optimizer whose steps only the host takes.
type hidden struct{ optim.Optimizer }

// TestHeldRun: the weights of a run whose gradients and updates stay on the device are
// those of one that has them on the host, and of one that was stopped and went on.
func TestHeldRun(t *testing.T) {
	if os.Getenv("FLOPS_TEST_DEVICE") != "" {
		t.Skip("needs the host's kernels, whose sums are alike")
	}
	host(t)
	for _, kind := range []string{"last block", "weight"} {
		c, _ := runConfig("cuda", "fp32", kind)
		c.Optimizer.Name, c.Optimizer.Clip = "adamw", 0
		digest := func(hide bool) [32]byte {
			x, err := train.Open(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			if hide {
				x.Optimizer = hidden{x.Optimizer}
			}
			tr := train.NewTrainer(x)
			for range 3 {
				if _, err := tr.TakeStep(t.Context(), c.PassQueries()); err != nil {
					t.Fatal(err)
				}
			}
			return tr.Digest()
		}
		if digest(false) != digest(true) {
			t.Errorf("%s: updates on the device make other weights", kind)
		}
	}
	c, _ := runConfig("cuda", "fp32", "last block")
	c.Train.Steps, c.Checkpoint.Every, c.Checkpoint.KeepLast = 4, 2, 8
	run := func(dir string, stop int, resume bool) {
		x, err := train.Open(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		w := &silent{}
		_, err = train.Run(context.Background(), x, train.RunOptions{Dir: dir, Watch: w, Resume: resume,
			Stop: func() bool { return w.step == stop }})
		if err != nil {
			t.Fatal(err)
		}
	}
	whole, parts := t.TempDir(), t.TempDir()
	run(whole, -1, false)
	run(parts, 2, false)
	run(parts, -1, true)
	for _, file := range []string{"model.safetensors", "optimizer.safetensors"} {
		var tensors [2]map[string][]float32
		for i, dir := range []string{whole, parts} {
			tensors[i] = saved(t, filepath.Join(dir, "checkpoints"), file)
		}
		for name, v := range tensors[0] {
			for i := range v {
				if tensors[1][name][i] != v[i] {
					t.Fatalf("%s: %s differs after a resume", file, name)
				}
			}
		}
	}
}

// saved reads the tensors of a run's last checkpoint.
func saved(t *testing.T, dir, file string) map[string][]float32 {
	t.Helper()
	steps, err := filepath.Glob(filepath.Join(dir, "*4", file))
	if err != nil || len(steps) != 1 {
		t.Fatalf("checkpoints of step 4 in %s: %v, %v", dir, steps, err)
	}
	all, _, err := safetensors.ReadFile(steps[0])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	for _, one := range all {
		out[one.Name] = one.Data
	}
	return out
}

// silent is told how a run goes and says nothing.
type silent struct{ step int }

func (s *silent) Begins(step int)                            { s.step = step }
func (s *silent) Stepped(m *runs.StepMetrics, _ float64)     { s.step = m.Step }
func (s *silent) Evaluated(step int, _ string, _ *runs.Eval) {}
func (s *silent) Saved(step int, _ string)                   {}
func (s *silent) Warned(line string)                         {}
