package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
)

// begun is a finished run with all of its files.
func begun(t *testing.T, c config.Config) string {
	t.Helper()
	dir := t.TempDir()
	x := open(t, c)
	for _, err := range []error{x.WriteConfig(dir), runs.WriteEnv(fsys.OS, dir, x.Describe("test"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Run(context.Background(), x, RunOptions{Dir: dir, Watch: &quiet{}}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// goOn resumes a run as the command does.
func goOn(t *testing.T, dir string, c config.Config, warn func(string)) error {
	t.Helper()
	changes, err := Changes(dir, c)
	if err != nil {
		return err
	}
	x, err := Open(c, warn)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Continue(dir, "test", changes, false); err != nil {
		return err
	}
	_, err = Run(context.Background(), x, RunOptions{Dir: dir, Resume: true, Watch: &quiet{}})
	return err
}

// Every key is one that a resumed run may change or one that it may not, and
// changing it gives another fingerprint in the second case alone.
func TestChangeable(t *testing.T) {
	x := open(t, tiny())
	known := config.Keys()
	for _, k := range append(slices.Clone(changeable), recorded...) {
		if !slices.ContainsFunc(known, func(key string) bool { return among(key, []string{k}) }) {
			t.Errorf("no key %s", k)
		}
	}
	same, other := tiny(), tiny()
	same.Train.Steps, same.Train.EvalEvery, same.Checkpoint.Every, same.Budget.MaxQueries, same.Train.OnDivergence = 99, 1, 1, 1e6, "rollback"
	other.Optimizer.LR *= 2
	if x.fingerprint(same) != x.fingerprint(tiny()) || x.fingerprint(other) == x.fingerprint(tiny()) {
		t.Error("the fingerprint holds what may change, or lacks what may not")
	}
	absent, empty := tiny(), tiny()
	absent.Data.Classes, empty.Data.Classes = nil, []string{}
	if x.fingerprint(absent) != x.fingerprint(empty) {
		t.Error("an empty list and an absent one differ")
	}
	dir := t.TempDir()
	if err := x.WriteConfig(dir); err != nil {
		t.Fatal(err)
	}
	if d, err := Changes(dir, same); err != nil || len(d) != 5 {
		t.Errorf("%v, %v", d, err)
	}
	_, err := Changes(dir, other)
	if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, "optimizer.lr is 0.001 in the run, and 0.002 here") {
		t.Errorf("%v", err)
	}
}

// A journal of an older version carries a hash of all of config.yaml. Its run
// goes on, is lengthened, and goes on again.
func TestOldJournal(t *testing.T) {
	c := tiny()
	c.Train.Steps, c.Optimizer.Schedule = 6, "cosine"
	dir := begun(t, c)
	old := c
	old.Train.Threads, old.Train.Device, old.Train.LogEvery, old.Data.Workers, old.Name, old.Extends, old.Train.TensorBoard = 0, "", 0, 0, "", "", false
	print, err := config.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "journal.bin")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(print)
	copy(raw[12:44], sum[:])
	binary.LittleEndian.PutUint32(raw[44:], crc32.Checksum(raw[:44], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, steps := range []int{6, 9, 12} {
		c.Train.Steps = steps
		if err := goOn(t, dir, c, nil); err != nil {
			t.Fatalf("to %d steps: %v", steps, err)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(after[:48], raw[:48]) {
		t.Errorf("the journal's header changed (%v)", err)
	}
	if _, err := Replay(context.Background(), open(t, c), dir, 12); err != nil {
		t.Error(err)
	}
	c.Sites.Blocks = "last-1"
	if _, err := Replay(context.Background(), open(t, c), dir, 12); err == nil ||
		!strings.Contains(err.Error(), "sites.blocks is all in the run, and last-1 here") {
		t.Errorf("%v", err)
	}
}

// Allocators learn along the run of a called model behind the mapping that the
// run learned, from the answers that it kept, and add none to them.
func TestLearningBehindMapping(t *testing.T) {
	h, url := serveModel(t, sums{})
	dir := t.TempDir()
	linear := func() *Experiment {
		x := openRemoteRun(t, url, 0)
		c := x.Config
		x.Close()
		c.Prompt.Mapping.Kind, c.Train.Steps = "linear", 4
		return open(t, c)
	}
	first := linear()
	if _, err := Run(context.Background(), first, RunOptions{Dir: dir, Watch: silent{}}); err != nil {
		t.Fatal(err)
	}
	asked := h.Stats().Images
	kept, err := os.ReadFile(filepath.Join(dir, "answers.bin"))
	if err != nil {
		t.Fatal(err)
	}
	x := linear()
	a, err := NewAllocator(x.Config, "neyman", nil)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := ReplayLearning(context.Background(), x, dir, 4, []alloc.Allocator{a}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tr.X.Model.Params()[0].Data, first.Model.Params()[0].Data) {
		t.Error("the frame is not the run's")
	}
	got, _ := x.remote.model.Mapping().Matrix()
	want, _ := first.remote.model.Mapping().Matrix()
	if !slices.Equal(got, want) || !slices.ContainsFunc(got, func(v float32) bool { return v != 0 }) {
		t.Errorf("the mapping is %v, the run's %v", got, want)
	}
	if n := h.Stats().Images; n != asked {
		t.Errorf("%d images were asked about", n-asked)
	}
	b, err := x.Loader.Batch(9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Model.Clean(context.Background(), b, nil); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(filepath.Join(dir, "answers.bin")); err != nil || !bytes.Equal(now, kept) {
		t.Errorf("the run's answers changed (%v)", err)
	}
}
