package train

import (
	"context"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/runs"
)

// sums answers with fixed functions of an image's pixels.
type sums struct{}

func (sums) Spec() oip.Spec {
	return oip.Spec{Name: "sums", Channels: 3, Height: 16, Width: 16, Classes: 4}
}

func (sums) Logits(_ context.Context, images []float32, n int) ([]float32, error) {
	out := make([]float32, 4*n)
	for i := range n {
		for j, v := range images[i*768 : (i+1)*768] {
			out[4*i+j%4] += v * float32(math.Sin(float64(j))) / 8
		}
	}
	return out, nil
}

type silent struct{}

func (silent) Begins(int)                         {}
func (silent) Stepped(*runs.StepMetrics, float64) {}
func (silent) Evaluated(int, string, *runs.Eval)  {}
func (silent) Saved(int, string)                  {}
func (silent) Warned(string)                      {}

// serveModel answers a model until the test ends.
func serveModel(t *testing.T, p oip.Predictor) (h *oip.Handler, url string) {
	t.Helper()
	h, err := oip.NewHandler(p)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return h, s.URL
}

// openRemoteRun is an experiment on shapes with the model sums behind url.
func openRemoteRun(t *testing.T, url string, max int64) *Experiment {
	t.Helper()
	c := config.Origin()
	c.Model.Kind, c.Model.URL, c.Model.Name, c.Model.MaxBatch = "remote", url, "sums", 8
	c.Model.Retries, c.Model.Timeout = 1, "500ms"
	c.Data.Kind, c.Data.Size, c.Data.Count, c.Data.TestCount = "shapes", 16, 32, 16
	c.Prompt.Kind, c.Prompt.Width, c.Prompt.Mapping.Kind, c.Prompt.Mapping.Images = "frame", 2, "learned", 2
	c.Sites = config.Sites{Blocks: "none"}
	c.Estimator.Name, c.Estimator.Sigma, c.Allocator.Name = "weight", 0.05, "neyman"
	c.Budget.QueriesPerImage, c.Budget.MaxQueries = 4, max
	c.Train.Steps, c.Train.BatchSize, c.Train.EvalEvery, c.Train.Device = 50, 8, 3, "cpu"
	c.Checkpoint.Every, c.Checkpoint.KeepLast = 2, 0
	x, err := Open(c, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func tryRemoteRun(t *testing.T, url, dir string, max int64, resume bool) (last *Trainer, err error) {
	t.Helper()
	x := openRemoteRun(t, url, max)
	defer x.Close()
	_, err = Run(context.Background(), x, RunOptions{Dir: dir, Resume: resume, Watch: silent{}, Each: func(tr *Trainer) error { last = tr; return nil }})
	return last, err
}

func remoteRun(t *testing.T, url, dir string, max int64, resume bool) *Trainer {
	t.Helper()
	last, err := tryRemoteRun(t, url, dir, max, resume)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// The ledger is the server's own count, at or below the ceiling; a run that is
// resumed from an early checkpoint asks nothing again and ends the same.
func TestRemoteRunCountsWhatTheServerCounts(t *testing.T) {
	h, url := serveModel(t, sums{})
	dir := t.TempDir()
	first := remoteRun(t, url, dir, 500, false)
	asked := h.Stats().Images
	if got := first.Ledger.Total().Queries; got != asked || got > 500 || got < 440 {
		t.Fatalf("ledger %d, server %d, ceiling 500", got, asked)
	}
	want, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	late, err := filepath.Glob(filepath.Join(dir, "checkpoints", "step-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range late {
		if b := filepath.Base(d); b != "step-0" && b != "step-2" {
			if err := os.RemoveAll(d); err != nil {
				t.Fatal(err)
			}
		}
	}
	again := remoteRun(t, url, dir, 500, true)
	if n := h.Stats().Images; n != asked {
		t.Errorf("the resumed run asked about %d images again", n-asked)
	}
	if got := again.Ledger.Total().Queries; got != asked {
		t.Errorf("ledger of the resumed run %d, server %d", got, asked)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl")); err != nil || string(got) != string(want) {
		t.Errorf("metrics differ after the resume (%v):\n%s\n%s", err, want, got)
	}
}

// TestCalledModelRollsBack: a run of a called model that diverges goes back and on
// with its answers, and its ledger is still the server's count.
func TestCalledModelRollsBack(t *testing.T) {
	h, url := serveModel(t, sums{})
	dir := t.TempDir()
	x := openRemoteRun(t, url, 0)
	defer x.Close()
	model := x.Model
	c := &x.Config.Train
	c.Steps, c.OnDivergence, c.RollbackFactor, c.MaxRollbacks = 6, "rollback", 1e-9, 1
	x.Schedule.LR, x.Schedule.Steps = 1e6, 6
	w := &quiet{}
	out, err := Run(context.Background(), x, RunOptions{Dir: dir, Watch: w})
	if err != nil || out.Step != 6 || len(w.warned) != 1 {
		t.Fatalf("%v, ended as %+v after %q", err, out, w.warned)
	}
	s, _, err := runs.LastState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Ledger.Total().Queries; s.Rollbacks != 1 || got != h.Stats().Images {
		t.Errorf("ledger %d, server %d after %d rollbacks", got, h.Stats().Images, s.Rollbacks)
	}
	if x.Model != model {
		t.Error("the run folder made another model")
	}
}
