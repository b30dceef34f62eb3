package train

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/bench"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
)

// forecastConfig is an experiment whose steps are long enough to be timed.
func forecastConfig() config.Config {
	c := tiny()
	c.Model.Arch = config.Arch{Image: 16, Patch: 4, Chans: 3, Hidden: 64, Layers: 2, Heads: 2, MLP: 128}
	c.Data.Size, c.Data.Count, c.Data.Workers = 16, 64, 0
	c.Budget.QueriesPerImage = 16
	c.Train.Steps, c.Train.BatchSize, c.Train.EvalEvery, c.Checkpoint.Every = 10, 16, 0, 0
	return c
}

// TestPreflightChangesNothing: with a forecast or without, the run is the same.
func TestPreflightChangesNothing(t *testing.T) {
	for name, c := range methods() {
		t.Run(name, func(t *testing.T) {
			want := whole(t, c)
			x := open(t, c)
			if _, err := x.Preflight(context.Background(), 0); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if _, err := Run(context.Background(), x, RunOptions{Dir: dir, Watch: &quiet{}}); err != nil {
				t.Fatal(err)
			}
			same(t, dir, want, c.Train.Steps)
		})
	}
}

// TestPreflight wants the forecast of a step and of the memory within 25% of
// ten steps. On a machine that others use the clock is not to be trusted once,
// so the fastest step and the best of five forecasts count; with -short, which runs beside anything,
// the memory alone.
func TestPreflight(t *testing.T) {
	for _, name := range []string{"activation", "weight", "bp"} {
		c := forecastConfig()
		c.Estimator.Name, c.Estimator.Own = name, lr.LearnSigma.With(c.Estimator.Own, false)
		c.Train.Cache = "off" // with one, first steps take longer than the later ones that are forecast
		off := 0.0
		for range 5 {
			x, err := Open(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			f, err := x.Preflight(context.Background(), 0)
			if err != nil {
				t.Fatal(err)
			}
			tr := NewTrainer(x)
			var each []time.Duration
			for range 10 {
				began := time.Now()
				if _, err := tr.TakeStep(context.Background(), c.PassQueries()); err != nil {
					t.Fatal(err)
				}
				each = append(each, time.Since(began))
			}
			x.Close()
			took := slices.Min(each) // as the forecast has it: what waited for a core does not count
			off = float64(f.Step)/float64(took) - 1
			t.Logf("%s: forecast %v, took %v", name, f.Step, took)
			if peak := bench.PeakMiB() << 20; peak > 0 &&
				(float64(f.Memory) < 0.75*float64(peak) || float64(f.Memory) > 1.25*float64(peak)) {
				t.Errorf("%s: %d bytes forecast, %d held", name, f.Memory, peak)
			}
			if off > -0.25 && off < 0.25 || testing.Short() {
				break
			}
		}
		if testing.Short() {
			continue
		}
		if off < -0.25 || off > 0.25 {
			t.Errorf("%s: the forecast of a step is off by %.0f%%", name, 100*off)
		}
	}
}

// TestSaving: the forecast counts the checkpoints to come, and leaves nothing of
// the one that it tried.
func TestSaving(t *testing.T) {
	c := forecastConfig()
	x := open(t, c)
	dir := t.TempDir()
	if d := x.Saving(dir, 0); d != 0 {
		t.Errorf("%v without checkpoints", d)
	}
	x.Config.Checkpoint.Every = 2
	if d := x.Saving(dir, 0); d <= 0 {
		t.Errorf("%v for five checkpoints", d)
	}
	if d := x.Saving(dir, 10); d != 0 {
		t.Errorf("%v after the last checkpoint", d)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}
