package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/fsys/fault"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/uierr"
)

type runState struct {
	Offset int64   `json:"offset"`
	Best   float64 `json:"best"`
}

// at is the checkpoint of a step, every number of it different from those of
// other steps and variants.
func at(step int, variant float64) *Checkpoint {
	seed := 1000*float64(step) + variant
	m := tiny(seed)
	m.Extra = []safetensors.Tensor{{Name: "prompt.tokens", Shape: []int{2, 4}, Data: testkit.Fill(8, seed)}}
	return &Checkpoint{Step: step, Model: m,
		Optimizer: []safetensors.Tensor{{Name: "m", Shape: []int{3}, Data: testkit.Fill(3, seed)},
			{Name: "v", Shape: []int{3}, Data: testkit.Fill(3, -seed)}},
		State: runState{int64(step), seed / 3}}
}

// is says whether got is want, whole.
func is(t *testing.T, got, want *Checkpoint) bool {
	t.Helper()
	var s runState
	if err := got.ReadState(&s); err != nil {
		t.Fatal(err)
	}
	return got.Step == want.Step && s == want.State && sameTensors(got.Optimizer, want.Optimizer) &&
		sameTensors(got.Model.Tensors, want.Model.Tensors) && sameTensors(got.Model.Extra, want.Model.Extra)
}

func TestStore(t *testing.T) {
	s := &Store{Disk: fsys.OS, Run: t.TempDir(), Retain: Retention{KeepLast: 2, KeepBest: true}}
	if _, _, err := s.Latest(); err == nil {
		t.Error("an empty run has a checkpoint")
	}
	_, err := s.Best()
	testkit.Mistake(t, err, "no best")
	for step := 10; step <= 60; step += 10 {
		testkit.Must(t, s.Save(at(step, 0), step == 20))
	}
	if steps, err := s.Steps(); err != nil || !reflect.DeepEqual(steps, []int{20, 50, 60}) {
		t.Errorf("kept %v, %v", steps, err)
	}
	got, skipped, err := s.Latest()
	if err != nil || len(skipped) != 0 || !is(t, got, at(60, 0)) {
		t.Error(skipped, err)
	}
	if got, err = s.Best(); err != nil || !is(t, got, at(20, 0)) {
		t.Error(err)
	}
	var other struct{ Offset int64 }
	if err := got.ReadState(&other); err == nil {
		t.Error("a state with another key was read")
	}
	// Back to step 50 and on another way: the later step is gone.
	testkit.Must(t, s.Save(at(50, 0.5), false))
	if got, _, err = s.Latest(); err != nil || !is(t, got, at(50, 0.5)) {
		t.Error(err)
	}
	if steps, _ := s.Steps(); !reflect.DeepEqual(steps, []int{20, 50}) {
		t.Errorf("kept %v", steps)
	}
	names, err := os.ReadDir(s.root())
	testkit.Must(t, err)
	for _, n := range names {
		if strings.HasPrefix(n.Name(), ".") {
			t.Errorf("left %s", n.Name())
		}
	}
}

func TestKeepFirstAndAll(t *testing.T) {
	s := &Store{Disk: quick(), Run: t.TempDir(), Retain: Retention{KeepLast: 1, KeepFirst: true}}
	for step := range 4 {
		testkit.Must(t, s.Save(at(step, 0), false))
	}
	if steps, _ := s.Steps(); !reflect.DeepEqual(steps, []int{0, 3}) {
		t.Errorf("kept %v", steps)
	}
	s.Retain = Retention{}
	testkit.Must(t, s.Save(at(4, 0), false))
	if steps, _ := s.Steps(); !reflect.DeepEqual(steps, []int{0, 3, 4}) {
		t.Errorf("kept %v", steps)
	}
}

// TestCallOnly saves what is learned in front of a model that is only called.
func TestCallOnly(t *testing.T) {
	s := &Store{Disk: quick(), Run: t.TempDir()}
	c := &Checkpoint{Step: 3,
		Model: &hf.Model{Extra: []safetensors.Tensor{{Name: "prompt.frame", Shape: []int{2},
			Data: testkit.Fill(2, 1)}}}, State: runState{}}
	testkit.Must(t, s.Save(c, false))
	got, err := s.Load(3)
	if err != nil || got.Model.Config != nil || !sameTensors(got.Model.Extra, c.Model.Extra) {
		t.Error(err)
	}
}

// TestAltered changes one byte of each file in turn, and cuts, empties and
// removes it: the checkpoint is refused by name and the one before it is used.
func TestAltered(t *testing.T) {
	files := []string{hf.ConfigName, hf.PreprocessorName, safetensors.ModelName, optimizerName, stateName, manifestName}
	ways := map[string]func(path string, b []byte) error{
		"first byte": func(p string, b []byte) error { b[0] ^= 1; return os.WriteFile(p, b, 0o644) },
		"last byte":  func(p string, b []byte) error { b[len(b)-1] ^= 1; return os.WriteFile(p, b, 0o644) },
		"middle":     func(p string, b []byte) error { b[len(b)/2] ^= 0x80; return os.WriteFile(p, b, 0o644) },
		"cut":        func(p string, b []byte) error { return os.WriteFile(p, b[:len(b)-1], 0o644) },
		"empty":      func(p string, _ []byte) error { return os.WriteFile(p, nil, 0o644) },
		"longer":     func(p string, b []byte) error { return os.WriteFile(p, append(b, '\n'), 0o644) },
		"removed":    func(p string, _ []byte) error { return os.Remove(p) },
	}
	for _, name := range files {
		for way, change := range ways {
			s := &Store{Disk: quick(), Run: t.TempDir()}
			testkit.Must(t, s.Save(at(1, 0), false))
			testkit.Must(t, s.Save(at(2, 0), false))
			path := filepath.Join(s.Dir(2), name)
			b, err := os.ReadFile(path)
			testkit.Must(t, err)
			testkit.Must(t, change(path, b))
			got, skipped, err := s.Latest()
			if err != nil || !is(t, got, at(1, 0)) || len(skipped) != 1 {
				t.Fatalf("%s %s: %v %v", name, way, skipped, err)
			}
			testkit.Mistake(t, skipped[0], s.Dir(2), name)
		}
	}
}

func TestPointers(t *testing.T) {
	s := &Store{Disk: quick(), Run: t.TempDir()}
	testkit.Must(t, s.Save(at(1, 0), true))
	testkit.Must(t, s.Save(at(2, 0), false))
	testkit.Write(t, filepath.Join(s.root(), lastName), []byte("step-1\n"))
	if got, _, err := s.Latest(); err != nil || got.Step != 1 {
		t.Error("the pointer is not followed:", err)
	}
	for _, bad := range []string{"", "step-01\n", "../step-1", "step--1"} {
		testkit.Write(t, filepath.Join(s.root(), lastName), []byte(bad))
		got, skipped, err := s.Latest()
		if err != nil || got.Step != 2 || len(skipped) != 1 {
			t.Errorf("%q: %v %v", bad, skipped, err)
		}
	}
	testkit.Must(t, os.RemoveAll(s.Dir(1)))
	_, err := s.Best()
	testkit.Mistake(t, err, "step-1")
	testkit.Must(t, os.Rename(s.Dir(2), s.Dir(5)))
	_, err = s.Load(5)
	testkit.Mistake(t, err, "step-5", "says step 2")
}

// TestSetAside: a checkpoint whose replacement was stopped between its two
// renames is found, and has its name back after the next save.
func TestSetAside(t *testing.T) {
	s := &Store{Disk: quick(), Run: t.TempDir(), Retain: Retention{KeepLast: 2}}
	testkit.Must(t, s.Save(at(1, 0), false))
	testkit.Must(t, os.Rename(s.Dir(1), s.aside(1)))
	if got, skipped, err := s.Latest(); err != nil || len(skipped) > 0 || !is(t, got, at(1, 0)) {
		t.Error(skipped, err)
	}
	testkit.Must(t, s.Save(at(2, 0), false))
	if got, err := s.Load(1); err != nil || !is(t, got, at(1, 0)) {
		t.Error(err)
	}
}

// TestFaults stops or fails the save of a second checkpoint at every one of its
// operations, in every way, and demands after each that the last good
// checkpoint is the old or the new one, whole, and that a later save works and
// leaves nothing behind. With -short only some of the operations are tried.
func TestFaults(t *testing.T) {
	modes := []struct {
		name  string
		mode  fault.Mode
		err   error
		power bool // the power fails too
		undo  bool // and the disk forgets names not yet synced
	}{
		{"killed", fault.Kill, nil, false, false},
		{"power lost", fault.Kill, nil, true, false},
		{"power lost, names too", fault.Kill, nil, true, true},
		{"full once", fault.Short, syscall.ENOSPC, false, false},
		{"full", fault.Always, syscall.ENOSPC, false, false},
		{"read-only", fault.Always, syscall.EROFS, false, false},
		{"one error", fault.Once, syscall.EIO, false, false},
	}
	for _, m := range modes {
		for _, target := range []int{2, 1} { // a new step, and the same one again
			n, stride := 0, 1
			if testing.Short() {
				stride = 7
			}
			for hit := true; hit; {
				n += stride
				hit = t.Run(fmt.Sprintf("%s/step %d/op %d", m.name, target, n), func(t *testing.T) {
					disk := &fault.FS{Mode: m.mode, At: n, Err: m.err}
					old, neu := at(1, 0), at(target, 0.5)
					s := &Store{Disk: quick(), Run: fastDir(t), Retain: Retention{KeepLast: 1, KeepBest: true}}
					testkit.Must(t, s.Save(old, true))
					s.Disk = disk
					err := s.Save(neu, true)
					if !disk.Hit() {
						testkit.Must(t, err)
						n = -1 // past the last operation: done
						return
					}
					if err != nil {
						explained(t, err, s.Run)
					}
					if m.power {
						testkit.Must(t, disk.PowerLoss(m.undo))
					}
					got, skipped, lerr := s.Latest()
					if lerr != nil || len(skipped) > 0 {
						t.Fatalf("latest: %v %v", skipped, lerr)
					}
					isNew := is(t, got, neu)
					if !isNew && !is(t, got, old) {
						t.Fatalf("a mixture: step %d", got.Step)
					}
					if err == nil && !isNew {
						t.Fatal("a save that reported success is not there")
					}
					if _, err := s.Best(); err != nil && !m.power {
						t.Fatal(err)
					}
					s.Disk = quick()
					testkit.Must(t, s.Save(at(3, 0), true))
					if got, skipped, err = s.Latest(); err != nil || len(skipped) > 0 || !is(t, got, at(3, 0)) {
						t.Fatal(skipped, err)
					}
					leftovers(t, s.root())
				}) && n > 0
			}
		}
	}
}

// explained demands that an error names a path in the run, and for a full or
// read-only disk the cause.
func explained(t *testing.T, err error, run string) {
	t.Helper()
	if !strings.Contains(err.Error(), run) {
		t.Errorf("%q names no path", err)
	}
	if errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("%q does not say that the disk is full", err)
	}
	if _, ok := uierr.As(err); ok != errors.Is(err, syscall.EROFS) {
		t.Errorf("%q: the user can mend a read-only disk and nothing else", err)
	}
}

func leftovers(t *testing.T, dir string) {
	t.Helper()
	names, err := os.ReadDir(dir)
	testkit.Must(t, err)
	for _, n := range names {
		if n.Name() != "step-3" && n.Name() != lastName && n.Name() != bestName {
			t.Errorf("left %s", n.Name())
		}
	}
}
