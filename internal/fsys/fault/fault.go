// Package fault is a disk for tests that fails, or dies, at a chosen operation.
// It works on a real folder, counts every change made through it, and at the
// chosen one returns an error, writes half of what it was given, or stops for
// good as a killed process does. PowerLoss then takes away what was never
// synced, as a machine that lost its power would. Hurry is for tests that only want
// the real disk to be quick.
package fault

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/flops-vit/flops/internal/fsys"
)

// ErrKilled is what every operation returns once the disk has died.
var ErrKilled = errors.New("fault: killed")

// Mode says what happens at the chosen operation.
type Mode int

const (
	// None never fails; the disk only counts.
	None Mode = iota
	// Once fails the chosen operation and none after it.
	Once
	// Always fails the chosen operation and every later one of its sort
	// (writes and creations: a full or read-only disk can still remove).
	Always
	// Short writes half of the bytes and then fails, once.
	Short
	// Kill does the chosen operation by half (a write) or not at all, and
	// refuses every later one.
	Kill
)

// FS is the disk. Its methods may be called from several goroutines.
type FS struct {
	Mode Mode
	At   int   // the operation that fails, counted from 1
	Err  error // what it returns, e.g. syscall.ENOSPC

	mu       sync.Mutex
	ops      int
	hit      bool
	unsynced map[string]int64 // size on disk that is certain, by path
	renames  []rename         // not yet certain
}

// rename remembers how to undo a rename that no SyncDir has made certain.
type rename struct {
	from, to string
	replaced []byte // content of the file that stood at to
	existed  bool
}

var _ fsys.FS = (*FS)(nil)

// Ops is the number of operations so far.
func (d *FS) Ops() int { return d.ops }

// Hit says whether the chosen operation was reached.
func (d *FS) Hit() bool { return d.hit }

// step counts one operation. It returns an error when the operation must not
// be done, and half when only half of it may.
func (d *FS) step(grows bool) (half bool, err error) {
	d.ops++
	if d.hit {
		switch {
		case d.Mode == Kill:
			return false, ErrKilled
		case d.Mode == Always && grows:
			return false, d.Err
		}
		return false, nil
	}
	if d.Mode == None || d.ops != d.At {
		return false, nil
	}
	d.hit = true
	switch d.Mode {
	case Kill:
		return true, ErrKilled
	case Short:
		return true, d.Err
	}
	return false, d.Err
}

type file struct {
	d    *FS
	f    *os.File
	path string
}

func (d *FS) open(op, path string, open func() (*os.File, error)) (fsys.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.step(true); err != nil {
		return nil, &os.PathError{Op: op, Path: path, Err: err}
	}
	f, err := open()
	if err != nil {
		return nil, err
	}
	if d.unsynced == nil {
		d.unsynced = map[string]int64{}
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	d.unsynced[path] = size
	return &file{d, f, path}, nil
}

// Create is fsys.FS.
func (d *FS) Create(path string) (fsys.File, error) {
	return d.open("create", path, func() (*os.File, error) { return os.Create(path) })
}

// OpenAt is fsys.FS.
func (d *FS) OpenAt(path string, size int64) (fsys.File, error) {
	return d.open("open", path, func() (*os.File, error) {
		f, err := disk.OpenAt(path, size)
		if err != nil {
			return nil, err
		}
		return f.(*os.File), nil
	})
}

func (f *file) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	half, err := f.d.step(true)
	if err != nil {
		n := 0
		if half {
			n, _ = f.f.Write(p[:len(p)/2])
		}
		return n, &os.PathError{Op: "write", Path: f.path, Err: err}
	}
	return f.f.Write(p)
}

// Sync makes the content certain in the books only: a test that syncs
// thousands of times has no use for the real thing.
func (f *file) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if _, err := f.d.step(false); err != nil {
		return &os.PathError{Op: "sync", Path: f.path, Err: err}
	}
	delete(f.d.unsynced, f.path)
	return nil
}

func (f *file) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	_, err := f.d.step(false)
	if e := f.f.Close(); err == nil {
		return e
	}
	return &os.PathError{Op: "close", Path: f.path, Err: err}
}

// change runs one operation that is not a write.
func (d *FS) change(op, path string, grows bool, do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.step(grows); err != nil {
		return &os.PathError{Op: op, Path: path, Err: err}
	}
	return do()
}

// Rename is fsys.FS.
func (d *FS) Rename(from, to string) error {
	return d.change("rename", to, false, func() error {
		r := rename{from: from, to: to}
		if b, err := os.ReadFile(to); err == nil {
			r.replaced, r.existed = b, true
		}
		if err := os.Rename(from, to); err != nil {
			return err
		}
		if size, ok := d.unsynced[from]; ok {
			delete(d.unsynced, from)
			d.unsynced[to] = size
		}
		d.renames = append(d.renames, r)
		return nil
	})
}

// Remove is fsys.FS.
func (d *FS) Remove(path string) error {
	return d.change("remove", path, false, func() error { return os.Remove(path) })
}

// RemoveAll is fsys.FS.
func (d *FS) RemoveAll(path string) error {
	return d.change("remove", path, false, func() error { return os.RemoveAll(path) })
}

// MkdirAll is fsys.FS.
func (d *FS) MkdirAll(path string) error {
	return d.change("mkdir", path, true, func() error { return disk.MkdirAll(path) })
}

// SyncDir is fsys.FS.
func (d *FS) SyncDir(path string) error {
	return d.change("sync", path, false, func() error {
		kept := d.renames[:0]
		for _, r := range d.renames {
			if filepath.Dir(r.to) != filepath.Clean(path) {
				kept = append(kept, r)
			}
		}
		d.renames = kept
		return nil
	})
}

// PowerLoss cuts every unsynced file back to what was certain and, with
// forget, undoes the renames that no SyncDir followed (a disk may do either).
func (d *FS) PowerLoss(forget bool) error {
	if forget {
		for i := len(d.renames) - 1; i >= 0; i-- {
			r := d.renames[i]
			if _, err := os.Lstat(r.to); err != nil {
				continue // removed since: that too is gone
			}
			if err := os.Rename(r.to, r.from); err != nil {
				return err
			}
			if r.existed {
				if err := os.WriteFile(r.to, r.replaced, 0o644); err != nil {
					return err
				}
			}
		}
	}
	for path, size := range d.unsynced {
		if err := os.Truncate(path, size); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
