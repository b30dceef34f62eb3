package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/uierr"
)

// TestKeys: a server that wants keys lets a worker in by its own, a viewer only look,
// and nobody in without one. Files that others may read are refused.
func TestKeys(t *testing.T) {
	t.Parallel()
	c := tiny()
	want := alone(t, c)
	c.Cluster.Work, c.Cluster.Key = false, "own"
	p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
	dir := filepath.Join(p.dir, folder)
	for _, name := range []string{coordinatorKey, workerKey, viewerKey} {
		st, err := os.Stat(filepath.Join(dir, name))
		testkit.Must(t, err)
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, st.Mode())
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	for _, key := range []string{"", filepath.Join(dir, viewerKey)} {
		w, err := NewWorker(WorkerOptions{Dial: Dial{URL: p.c.URL(), Key: key}, Run: p.c.Run(),
			Local: func(*config.Config) {}})
		testkit.Must(t, err)
		if err := w.Work(ctx); !uierr.IsMistake(err) {
			t.Errorf("key %q: %v", key, err)
		}
		w.Close()
	}
	if _, err := List(ctx, Dial{URL: p.c.URL(), Key: filepath.Join(dir, viewerKey)}); err != nil {
		t.Errorf("the viewer cannot look: %v", err)
	}
	for file, may := range map[string]bool{viewerKey: false, workerKey: true} {
		for subject, ok := range map[string]bool{workerInbox + ".>": may, viewerInbox + ".>": true, "flops.>": false} {
			if got := mayHear(t, p.c.URL(), filepath.Join(dir, file), subject); got != ok {
				t.Errorf("%s hears %s: %v", file, subject, got)
			}
		}
	}
	w, err := NewWorker(WorkerOptions{Dial: Dial{URL: p.c.URL(), Key: p.c.KeyFile()}, Run: p.c.Run(),
		Local: func(c *config.Config) { c.Train.Threads, c.Train.Device = 1, "cpu" }})
	testkit.Must(t, err)
	p.wg.Go(func() {
		defer w.Close()
		if err := w.Work(p.ctx); err != nil && !errors.Is(err, context.Canceled) {
			p.errs <- err
		}
	})
	p.run()
	for _, e := range p.end() {
		t.Error(e)
	}
	same(t, p.dir, want, c.Train.Steps)
	testkit.Must(t, os.Chmod(filepath.Join(dir, workerKey), 0o644))
	if _, err := openKeys(dir, "run"); !uierr.IsMistake(err) {
		t.Errorf("a key that others may read: %v", err)
	}
}

// mayHear says whether a server lets the holder of a key listen to a subject.
func mayHear(t *testing.T, url, key, subject string) bool {
	t.Helper()
	k, err := nats.NkeyOptionFromSeed(key)
	testkit.Must(t, err)
	denied := make(chan error, 1)
	nc, err := nats.Connect(url, k, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		denied <- err
	}))
	testkit.Must(t, err)
	defer nc.Close()
	_, err = nc.Subscribe(subject, func(*nats.Msg) {})
	testkit.Must(t, err)
	testkit.Must(t, nc.Flush())
	select {
	case <-denied:
		return false
	case <-time.After(50 * time.Millisecond):
		return true
	}
}
