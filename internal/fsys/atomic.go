package fsys

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/flops-vit/flops/internal/uierr"
)

// WriteFile replaces a small file: after it returns nil the file holds
// data even if the power fails, and until then it holds what it held.
func WriteFile(disk FS, path string, data []byte) error {
	return Write(disk, path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteOutput writes a file that a user has named, whole or not at all. A device
// or a pipe is written to as it is, and what a link leads to is replaced, not the
// link.
func WriteOutput(disk FS, path string, write func(io.Writer) error) error {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return WriteError(writeDevice(path, write), path)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return Write(disk, path, write)
}

// Write is WriteFile for what is written piece by piece. An error names path.
func Write(disk FS, path string, write func(io.Writer) error) error {
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	err := WriteSynced(disk, tmp, write)
	if err == nil {
		err = disk.Rename(tmp, path)
	}
	if err != nil {
		_ = disk.Remove(tmp) // a leftover does no harm: the next write replaces it
		return WriteError(err, path)
	}
	return WriteError(disk.SyncDir(filepath.Dir(path)), path)
}

// writeDevice writes to what cannot be replaced; a folder is refused here.
func writeDevice(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = write(f)
	return errors.Join(err, f.Close())
}

// WriteSynced writes a new file and returns when it is on the disk.
func WriteSynced(disk FS, path string, write func(io.Writer) error) error {
	f, err := disk.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f) // gathers small pieces; large ones pass it by
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// WriteError is err about a file that was to be written, nil for nil: it says what
// could not be written and, where the user can mend it, how. A full disk stays an
// ordinary failure.
func WriteError(err error, path string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EROFS):
		return uierr.Wrap(err, fmt.Sprintf("%s: cannot be written: the file system is read-only", path),
			"choose another --output folder")
	case errors.Is(err, fs.ErrPermission):
		return uierr.Wrap(err, fmt.Sprintf("%s: cannot be written: permission denied", path),
			"choose another --output folder or change its permissions")
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%s: cannot be written, the disk is full; what was saved before is intact: %w", path, err)
	}
	return fmt.Errorf("%s: cannot be written: %w", path, err)
}

// Content is a file to be written.
type Content struct {
	Name  string // in its folder
	Write func(io.Writer) error
}

// Bytes is a file of these bytes.
func Bytes(name string, b []byte) Content {
	return Content{name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}}
}
