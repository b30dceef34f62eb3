package fsys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/flops-vit/flops/internal/uierr"
)

// Files of a locked folder. The lock is on a file of its own that is never
// removed, since removing it would let two processes lock two files of one name;
// who holds it stands in another, because Windows lets nobody read a locked file.
const (
	lockName   = "run.lock"
	holderName = "run.pid"
)

// ErrLocked is the cause of the error about a folder that another process holds.
var ErrLocked = errors.New("locked by another process")

// Lock is a folder that one process alone writes to. The system releases it when
// the process ends, however that happens.
type Lock struct {
	dir string
	f   *flock.Flock // nil where the file system has no locks
}

// LockDir locks a folder that exists. Where another process holds it the error is
// an *uierr.Error that names that process, with ErrLocked as its cause. On a file
// system without locks, as some network ones are, warn gets a line, and nothing
// is locked.
func LockDir(dir string, warn func(string)) (*Lock, error) {
	f := flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o644))
	ok, err := f.TryLock()
	var path *os.PathError
	switch {
	case errors.As(err, &path) && !errors.Is(err, errors.ErrUnsupported): // the file, not the lock
		return nil, uierr.Wrap(err, fmt.Sprintf("%s: cannot be locked: %v", dir, err), "name a folder that can be written")
	case err != nil:
		warn(fmt.Sprintf("%s: this file system has no locks (%v); start no second process on the folder", dir, err))
		return &Lock{dir: dir}, nil
	case !ok:
		return nil, uierr.Wrap(ErrLocked, fmt.Sprintf("%s: another process writes to this folder%s", dir, holder(dir)),
			"wait for it to end, or stop it; its lock ends with it")
	}
	who := fmt.Sprintf("process %d on %s since %s\n", os.Getpid(), host(), time.Now().UTC().Format(time.RFC3339))
	if err := os.WriteFile(filepath.Join(dir, holderName), []byte(who), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), f.Unlock())
	}
	return &Lock{dir, f}, nil
}

// holder is who holds a folder's lock, in brackets; empty where it does not say.
func holder(dir string) string {
	const most = 300
	raw, err := os.ReadFile(filepath.Join(dir, holderName))
	if s := strings.TrimSpace(string(raw[:min(len(raw), most)])); err == nil && s != "" {
		return " (" + s + ")"
	}
	return ""
}

func host() string {
	h, err := os.Hostname()
	if err != nil {
		return "this machine"
	}
	return h
}

// IsLockFile says whether a name in a folder is one of those that locking it makes.
func IsLockFile(name string) bool { return name == lockName || name == holderName }

// Unlock lets others in. A lock that is nil holds nothing.
func (l *Lock) Unlock() error {
	if l == nil || l.f == nil {
		return nil
	}
	err := os.Remove(filepath.Join(l.dir, holderName))
	return errors.Join(err, l.f.Unlock())
}
