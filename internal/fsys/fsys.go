// Package fsys writes files so that nothing is lost: whole or not at all, synced,
// and in a folder that no other process writes to (LockDir). FS is the handful of
// operations that change a disk; everything a run saves goes through them, so that
// a test can stop a save at any one of them and see what is left. Reading needs no
// such care and uses os directly; what every reader of small files does is here too.
package fsys

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// File is a file being written.
type File interface {
	io.Writer
	// Sync returns when what was written is on the disk.
	Sync() error
	Close() error
}

// FS changes a disk. Errors name the path.
type FS interface {
	// Create opens an empty file for writing; what it held is gone.
	Create(path string) (File, error)
	// OpenAt opens a file, made if absent, for writing at byte size and cuts
	// off what follows.
	OpenAt(path string, size int64) (File, error)
	// Rename moves a file over another, or a folder to a name not taken.
	Rename(from, to string) error
	// Remove removes a file or an empty folder.
	Remove(path string) error
	// RemoveAll removes a folder and what is in it; it need not exist.
	RemoveAll(path string) error
	// MkdirAll makes a folder and its parents.
	MkdirAll(path string) error
	// SyncDir returns when the names in a folder are on the disk. Where the
	// system has no such call (Windows) it does nothing.
	SyncDir(path string) error
}

// OS is the disk itself.
var OS FS = osFS{}

type osFS struct{}

func (osFS) Create(path string) (File, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osFS) OpenAt(path string, size int64) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(size); err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		_ = f.Close() // the first error is the one to tell
		return nil, err
	}
	return f, nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) Remove(path string) error { return os.Remove(path) }

func (osFS) RemoveAll(path string) error { return os.RemoveAll(path) }

func (osFS) MkdirAll(path string) error { return os.MkdirAll(path, 0o755) }

func (osFS) SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}
