package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/train"
)

// some are whole runs in a folder.
type some struct {
	dir     string
	configs []config.Config
	env     runs.Env

	mu   sync.Mutex
	had  map[int]bool // taken
	done map[int]string
	fail error
}

func (s *some) Name(n int) string {
	if n < 0 || n >= len(s.configs) {
		return ""
	}
	return fmt.Sprintf("arm/seed-%d", n)
}

func (s *some) Take() (int, string, config.Config, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, c := range s.configs {
		if !s.had[n] && s.done[n] == "" {
			s.had[n] = true
			return n, s.Name(n), c, true
		}
	}
	return 0, "", config.Config{}, false
}

func (s *some) Back(n int)                { s.mu.Lock(); delete(s.had, n); s.mu.Unlock() }
func (s *some) Wanted(n int) bool         { s.mu.Lock(); defer s.mu.Unlock(); return s.done[n] == "" }
func (s *some) Env(int) (runs.Env, error) { return s.env, nil }
func (s *some) Fail(err error)            { s.mu.Lock(); s.fail = err; s.mu.Unlock() }
func (s *some) Counts() (done, of int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.done), len(s.configs)
}

func (s *some) Trained(n int, from string, _ float64) (why string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, _, err := runs.LastState(from); err != nil {
		return err.Error(), os.RemoveAll(from)
	}
	s.done[n] = filepath.Join(s.dir, fmt.Sprint(n))
	return "", os.Rename(from, s.done[n])
}

// TestWhole: whole runs that workers train have the files of those that are trained here,
// though a worker goes in the middle of one, and another has other data.
func TestWhole(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Cluster.AckWait = "600ms"
	offered := c.Cluster
	s := &some{dir: t.TempDir(), had: map[int]bool{}, done: map[int]string{}}
	for seed := range int64(3) {
		c := c
		c.Train.Seed, c.Cluster = seed, config.Default().Cluster
		s.configs = append(s.configs, c)
	}
	x, err := train.Open(s.configs[0], nil)
	testkit.Must(t, err)
	s.env = x.Describe("")
	x.Close()
	w, err := OpenWhole(offered, s, Options{Dir: filepath.Join(t.TempDir(), "many"), Run: "many"})
	testkit.Must(t, err)
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	work := func(ctx context.Context, change func(*config.Config), before func()) error {
		k, err := NewWorker(WorkerOptions{Dial: Dial{URL: w.URL()}, Local: func(c *config.Config) {
			c.Train.Threads, c.Train.Device = 1, "cpu"
			change(c)
		}, Train: func(ctx context.Context, file, dir string) (float64, error) {
			before()
			if ctx.Err() != nil {
				return 0, ctx.Err()
			}
			c, err := config.Stored(file)
			if err != nil {
				return 0, err
			}
			x, err := train.Open(c, nil)
			if err != nil {
				return 0, err
			}
			defer x.Close()
			_, err = train.Run(ctx, x, train.RunOptions{Dir: dir, Watch: &quiet{}})
			return 1, err
		}})
		testkit.Must(t, err)
		defer k.Close()
		return k.Work(ctx)
	}
	same1 := func(*config.Config) {}
	err = work(ctx, func(c *config.Config) { c.Data.Count = 24 }, func() {})
	if err == nil || !strings.Contains(err.Error(), "data is not what the run sees") {
		t.Errorf("other data: %v", err)
	}
	short, end := context.WithCancel(ctx)
	if err := work(short, same1, end); !errors.Is(err, context.Canceled) { // it goes as it begins to train
		t.Errorf("a worker that goes: %v", err)
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := work(ctx, same1, func() {}); err != nil {
				t.Error(err)
			}
		})
	}
	for n, of := s.Counts(); n < of && ctx.Err() == nil; n, of = s.Counts() {
		time.Sleep(20 * time.Millisecond)
	}
	if list, err := List(ctx, Dial{URL: w.URL()}); err != nil || len(list) != 1 || !list[0].Whole {
		t.Errorf("listed as %+v, %v", list, err)
	}
	testkit.Must(t, w.Close())
	both.Wait()
	for n, dir := range s.done {
		same(t, dir, alone(t, s.configs[n]), c.Train.Steps)
	}
	if st := w.Status(); s.fail != nil || st.Stats.Lost < 1 {
		t.Errorf("%v, %+v", s.fail, st)
	}
}

// TestTree: a run folder comes back as it was, less what is hidden and of a cluster, and
// nothing is written elsewhere.
func TestTree(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for _, name := range []string{"a.json", "checkpoints/step-3/model.safetensors", "tb/events.out", "cluster/worker.nk",
		".lock"} {
		path := filepath.Join(from, name)
		testkit.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		testkit.Must(t, os.WriteFile(path, []byte(name), 0o600))
	}
	testkit.Must(t, os.Symlink("/etc/passwd", filepath.Join(from, "link")))
	var b bytes.Buffer
	testkit.Must(t, packTree(&b, from))
	testkit.Must(t, unpackTree(&b, to))
	for name, there := range map[string]bool{"a.json": true, "checkpoints/step-3/model.safetensors": true,
		"tb/events.out": true, "cluster/worker.nk": false, ".lock": false, "link": false} {
		got, err := os.ReadFile(filepath.Join(to, name))
		if (err == nil) != there || there && string(got) != name {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"../evil", "/etc/evil", "a/../../evil", "a//b", "a/.b", "a/b/c/d/e/f", "", "a\\b"} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if w.WriteHeader(&tar.Header{Name: name, Size: 1, Typeflag: tar.TypeReg}) != nil {
			continue
		}
		_, err := w.Write([]byte("x"))
		testkit.Must(t, err)
		testkit.Must(t, w.Close())
		if unpackTree(&b, t.TempDir()) == nil {
			t.Errorf("%q was written", name)
		}
	}
}

// FuzzWhole: no message of whole runs, whatever it holds, does more than be answered.
func FuzzWhole(f *testing.F) {
	f.Add([]byte(`{"id":1,"run":0,"name":"arm/seed-0","at":0,"bytes":"YQ==","last":true}`))
	f.Add([]byte(`{"id":1,"run":0,"name":"arm/seed-0","at":0,"bytes":"","last":true}`))
	f.Add([]byte(`{"id":1,"run":-1,"name":""}`))
	f.Add([]byte(`{"id":1,"run":0,"name":"arm/seed-0","at":-5,"bytes":""}`))
	dir := f.TempDir()
	testkit.Must(f, os.MkdirAll(filepath.Join(dir, folder), 0o755))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &some{dir: dir, had: map[int]bool{}, done: map[int]string{}, configs: make([]config.Config, 2)}
		w := &Whole{host: host{c: config.Default().Cluster, o: Options{Dir: dir}}, q: s, workers: map[uint64]*taker{}}
		w.pieceOf(b)
		w.giveOf(b)
		for _, k := range w.workers {
			testkit.Must(t, w.forget(k))
		}
		if s.fail != nil || len(s.done) > 0 {
			t.Errorf("%v, %v", s.fail, s.done)
		}
	})
}
