package train

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys/fault"
)

// short is the run whose every write fails once.
func short() config.Config {
	c := tiny()
	c.Train.Steps, c.Train.EvalEvery, c.Checkpoint.Every, c.Data.Count = 4, 2, 2, 16
	return c
}

// TestFaults fails changes of the disk in turn, in three ways: the run says so,
// what it had saved is sound, and it goes on to the same end. It tries every
// fifth change from a random one on, and every one with FLOPS_TEST_FULL=1, which
// takes a minute.
func TestFaults(t *testing.T) {
	c := short()
	want := whole(t, c)
	counter := &fault.FS{}
	if _, err := Run(context.Background(), open(t, c),
		RunOptions{Dir: t.TempDir(), Watch: &quiet{}, Disk: counter}); err != nil {
		t.Fatal(err)
	}
	stride := 5
	switch {
	case os.Getenv("FLOPS_TEST_FULL") != "":
		stride = 1
	case testing.Short():
		stride = 25
	}
	first := 1 + rand.IntN(stride)
	t.Logf("operations %d, %d, ... of %d", first, first+stride, counter.Ops())
	for name, mode := range map[string]fault.Mode{"full": fault.Always, "short": fault.Short, "killed": fault.Kill} {
		t.Run(name, func(t *testing.T) {
			for at := first; at <= counter.Ops(); at += stride {
				dir := t.TempDir()
				disk := &fault.FS{Mode: mode, At: at, Err: syscall.ENOSPC}
				x, err := Open(c, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, failed := Run(context.Background(), x, RunOptions{Dir: dir, Watch: &quiet{}, Disk: disk})
				x.Close()
				switch {
				case failed == nil && mode == fault.Kill: // what only tidies up may fail otherwise
					t.Fatalf("operation %d: the disk died and the run did not notice", at)
				case failed != nil && mode != fault.Kill && !strings.Contains(failed.Error(), dir):
					t.Errorf("operation %d: %q does not name the file", at, failed)
				}
				checkSound(t, dir, at)
				if _, err := Run(context.Background(), open(t, c),
					RunOptions{Dir: dir, Resume: true, Watch: &quiet{}}); err != nil {
					t.Fatalf("operation %d: after %v the run does not resume: %v", at, failed, err)
				}
				same(t, dir, want, c.Train.Steps)
				if t.Failed() {
					t.Fatalf("operation %d", at)
				}
			}
		})
	}
}

// checkSound wants the newest checkpoint, where there is one, to load.
func checkSound(t *testing.T, dir string, at int) {
	t.Helper()
	s := &checkpoint.Store{Run: dir}
	steps, err := s.Steps()
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) == 0 {
		return
	}
	if _, _, err := s.Latest(); err != nil {
		t.Errorf("operation %d: the last checkpoint is lost: %v", at, err)
	}
}

// TestTornCheckpoint damages the newest checkpoint: it is refused by name and
// the one before it used.
func TestTornCheckpoint(t *testing.T) {
	c := short()
	want := whole(t, c)
	dir := whole(t, c)
	s := &checkpoint.Store{Run: dir}
	name := s.Dir(c.Train.Steps) + "/model.safetensors"
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-3] ^= 1
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	w := &quiet{}
	if _, err := Run(context.Background(), open(t, c), RunOptions{Dir: dir, Resume: true, Watch: w}); err != nil {
		t.Fatal(err)
	}
	if len(w.warned) != 1 || !strings.Contains(w.warned[0], "step-4") ||
		!strings.Contains(w.warned[0], "model.safetensors") {
		t.Errorf("the torn file is not named: %q", w.warned)
	}
	same(t, dir, want, c.Train.Steps)
}

// TestStopped stops after every step in turn, as a signal does.
func TestStopped(t *testing.T) {
	c := short()
	want := whole(t, c)
	dir := t.TempDir()
	for step := 1; ; step++ {
		asked := 0
		out, err := Run(context.Background(), open(t, c), RunOptions{Dir: dir, Resume: true, Watch: &quiet{},
			Stop: func() bool { asked++; return asked > 1 }})
		if err != nil {
			t.Fatal(err)
		}
		if out.Step != step {
			t.Fatalf("stopped after step %d, want %d", out.Step, step)
		}
		if out.Stopped == "" {
			break
		}
	}
	same(t, dir, want, c.Train.Steps)
}
