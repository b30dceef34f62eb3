package cluster

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/fsys"
)

// folder is the cluster's part of a run folder.
const folder = "cluster"

// snapshot is a checkpoint that a worker can begin with.
type snapshot struct {
	step   int
	object string // its name in the object store; empty: it is not there yet
}

// maxSnapshot bounds what a worker takes of a checkpoint, and maxFile one file of it.
const maxSnapshot = 64 << 30

func bucket(run string) string { return "flops_" + run }

// offer puts a checkpoint into the object store and removes those before the last two.
func (c *Coordinator) offer(s *snapshot) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	store, err := c.conn.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: bucket(c.o.Run),
		Storage: jetstream.FileStorage, Replicas: c.conn.replicas()})
	if err != nil {
		return err
	}
	dir := (&checkpoint.Store{Run: c.o.Dir}).Dir(s.step)
	name := fmt.Sprintf("step-%d-%d", s.step, time.Now().UnixNano())
	r, w := io.Pipe()
	go func() { w.CloseWithError(pack(w, dir)) }()
	if _, err := store.Put(ctx, jetstream.ObjectMeta{Name: name}, r); err != nil {
		r.CloseWithError(err)
		return err
	}
	s.object = name
	if old, err := store.List(ctx); err == nil {
		for _, o := range old {
			keep := false
			for _, k := range c.snapshots {
				keep = keep || k.object == o.Name
			}
			if !keep {
				_ = store.Delete(ctx, o.Name) // it is in nobody's way
			}
		}
	}
	return nil
}

// pack writes the files of a checkpoint's folder.
func pack(out io.Writer, dir string) error {
	w := tar.NewWriter(out)
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := packFile(w, filepath.Join(dir, n.Name()), n.Name()); err != nil {
			return err
		}
	}
	return w.Close()
}

// unpack writes such files into a folder. Their names are plain ones: nothing is written
// elsewhere.
func unpack(in io.Reader, dir string) error {
	r := tar.NewReader(in)
	for total := int64(0); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || !plain(h.Name) {
			return fmt.Errorf("cluster: %q is no file of a checkpoint", clean(h.Name, 80))
		}
		if total += h.Size; h.Size < 0 || total > maxSnapshot {
			return errors.New("cluster: the checkpoint is too large")
		}
		if err := unpackFile(r, h.Size, filepath.Join(dir, h.Name), 0o600); err != nil {
			return err
		}
	}
}

// plain says that a name is one of a file in a folder: letters, digits, and what parts
// them, so that it leads nowhere else and hides nothing.
func plain(name string) bool {
	return name != "" && len(name) < 100 && name[0] != '.' && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
	})
}

// fetch loads a checkpoint out of the object store, whose SHA-256 is compared, into a
// folder of this machine.
func (k *connection) fetch(ctx context.Context, run, object string, step int,
	dir string) (*checkpoint.Checkpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	store, err := k.js.ObjectStore(ctx, bucket(run))
	if err != nil {
		return nil, err
	}
	o, err := store.Get(ctx, object)
	if err != nil {
		return nil, err
	}
	in := &steady{in: o, stop: context.AfterFunc(ctx, func() { o.Close() }),
		late: time.AfterFunc(stallTime, func() { o.Close() })}
	defer in.Close()
	s := &checkpoint.Store{Disk: fsys.OS, Run: dir}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Dir(step), 0o700); err != nil {
		return nil, err
	}
	if err := unpack(in, s.Dir(step)); err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, in); err != nil { // the digest is compared at the end
		return nil, err
	}
	return s.Load(step)
}

// stallTime is how long a checkpoint that is fetched may stand still: what was lost on the
// way does not come by waiting.
const stallTime = 5 * time.Second

// steady reads as long as something comes, and until its context is over.
type steady struct {
	in   io.ReadCloser
	stop func() bool
	late *time.Timer
}

// Read implements io.Reader.
func (s *steady) Read(b []byte) (int, error) {
	n, err := s.in.Read(b)
	s.late.Reset(stallTime)
	return n, err
}

// Close ends it.
func (s *steady) Close() error {
	s.stop()
	s.late.Stop()
	return s.in.Close()
}
