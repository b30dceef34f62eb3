package journal

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/uierr"
)

// Lines is an append-only file of JSON lines, metrics.jsonl. A line is in the
// file, for others to read, when Append returns, and on the disk after Sync.
type Lines struct {
	path   string
	f      fsys.File
	offset int64
}

// OpenLines opens the file and keeps its first keep bytes: 0 for a new run, and
// for a resumed one the offset that its checkpoint holds, so that the steps
// run again do not stand twice.
func OpenLines(disk fsys.FS, path string, keep int64) (*Lines, error) {
	if err := longEnough(path, keep); err != nil {
		return nil, err
	}
	f, err := disk.OpenAt(path, keep)
	if err != nil {
		return nil, fsys.WriteError(err, path)
	}
	if err := disk.SyncDir(filepath.Dir(path)); err != nil {
		_ = f.Close() // the first error is the one to tell
		return nil, fsys.WriteError(err, path)
	}
	return &Lines{path, f, keep}, nil
}

// longEnough refuses to go on in a file that has lost what a checkpoint says
// was in it.
func longEnough(path string, keep int64) error {
	if keep == 0 {
		return nil
	}
	st, err := os.Stat(path)
	if err != nil {
		return fsys.ReadError(err, path)
	}
	if st.Size() < keep {
		return uierr.New(fmt.Sprintf("%s: has %d bytes, the checkpoint was saved with %d", path, st.Size(), keep),
			"the file was cut or replaced; resume from an earlier checkpoint")
	}
	return nil
}

// Append writes v as one line.
func (l *Lines) Append(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", l.path, err)
	}
	n, err := l.f.Write(append(b, '\n'))
	l.offset += int64(n)
	return fsys.WriteError(err, l.path)
}

// Sync puts the file on the disk and returns its length, for a checkpoint to
// hold. It comes before the checkpoint is saved.
func (l *Lines) Sync() (int64, error) { return l.offset, fsys.WriteError(l.f.Sync(), l.path) }

// Close closes the file.
func (l *Lines) Close() error { return fsys.WriteError(l.f.Close(), l.path) }
