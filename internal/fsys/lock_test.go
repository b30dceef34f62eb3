package fsys

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two locks on a folder, as two processes hold them; what the first leaves
// behind keeps nobody out.
func TestLockDir(t *testing.T) {
	dir := t.TempDir()
	nothing := func(s string) { t.Error(s) }
	one, err := LockDir(dir, nothing)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockDir(dir, nothing); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "(process ") {
		t.Errorf("a second lock: %v", err)
	}
	if err := one.Unlock(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, holderName), []byte("process 1 on elsewhere"), 0o644); err != nil {
		t.Fatal(err)
	}
	two, err := LockDir(dir, nothing)
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if !IsLockFile(e.Name()) {
			t.Errorf("%s is no file of a lock", e.Name())
		}
	}
	if err := two.Unlock(); err != nil {
		t.Error(err)
	}
	if _, err := LockDir(filepath.Join(dir, "none"), nothing); err == nil {
		t.Error("a folder that is not there was locked")
	}
	var none *Lock
	if err := none.Unlock(); err != nil {
		t.Error(err)
	}
}
