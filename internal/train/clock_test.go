package train

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/runs"
)

// slow takes its time with every evaluation.
type slow struct {
	quiet
	slept time.Duration
}

const nap = 60 * time.Millisecond

func (s *slow) Evaluated(int, string, *runs.Eval) {
	time.Sleep(nap)
	s.slept += nap
}

func clockOf(t *testing.T, dir string) []runs.Tick {
	t.Helper()
	f, err := runs.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f.Clock
}

// TestClock: clock.csv has a line for every logged step, of a run that was stopped
// and resumed too, whose seconds rise and hold no evaluation.
func TestClock(t *testing.T) {
	c := short()
	c.Train.EvalEvery = 1
	dir, w := t.TempDir(), &slow{}
	began := time.Now()
	stop := func(*Trainer) error { return context.Canceled }
	if _, err := Run(t.Context(), open(t, c), RunOptions{Dir: dir, Watch: w, Each: stop}); err == nil {
		t.Fatal("the run was not stopped")
	}
	if _, err := Run(t.Context(), open(t, c), RunOptions{Dir: dir, Watch: w, Resume: true}); err != nil {
		t.Fatal(err)
	}
	clock := clockOf(t, dir)
	if len(clock) != c.Train.Steps {
		t.Fatalf("%d lines of %d steps", len(clock), c.Train.Steps)
	}
	last := 0.0
	for i, tick := range clock {
		if tick.Step != i+1 || tick.Seconds <= last {
			t.Errorf("line %d: %+v after %v seconds", i, tick, last)
		}
		last = tick.Seconds
	}
	if most := time.Since(began) - w.slept; last > most.Seconds() {
		t.Errorf("%v seconds of training, and there were %v besides the evaluations", last, most)
	}
	if err := os.WriteFile(filepath.Join(dir, "clock.csv"), []byte("step,seconds\n1,0.5\n2,0."), 0o644); err != nil {
		t.Fatal(err)
	}
	c.Train.Steps++ // what the file lost does not keep the run from going on
	if _, err := Run(t.Context(), open(t, c), RunOptions{Dir: dir, Watch: w, Resume: true}); err != nil {
		t.Fatal(err)
	}
	if clock = clockOf(t, dir); len(clock) != 1 || clock[0].Step != c.Train.Steps || clock[0].Seconds <= last {
		t.Errorf("after the file was cut: %v", clock)
	}
}
