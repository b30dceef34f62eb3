package fault

import (
	"os"

	"github.com/flops-vit/flops/internal/fsys"
)

// disk is the real one, whatever Hurry puts into fsys.OS.
var disk = fsys.OS

// hasty is the disk without waiting for it.
type hasty struct{ fsys.FS }

// Hurry lets fsys.OS wait for nothing. What is written then outlives the process, even
// one that is killed, but not a machine that loses its power; FS tries that without the
// real thing. For the TestMain of packages whose tests save often: a sync takes
// milliseconds, and many times that where other programs write.
func Hurry() { fsys.OS = hasty{disk} }

// hastyFile is a file of such a disk.
type hastyFile struct{ *os.File }

func (hastyFile) Sync() error { return nil }

func (h hasty) open(f fsys.File, err error) (fsys.File, error) {
	if err != nil {
		return nil, err
	}
	return hastyFile{f.(*os.File)}, nil
}

// Create is fsys.FS.
func (h hasty) Create(path string) (fsys.File, error) { return h.open(h.FS.Create(path)) }

// OpenAt is fsys.FS.
func (h hasty) OpenAt(path string, size int64) (fsys.File, error) {
	return h.open(h.FS.OpenAt(path, size))
}

// SyncDir is fsys.FS.
func (hasty) SyncDir(string) error { return nil }
