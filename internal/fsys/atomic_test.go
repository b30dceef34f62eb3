package fsys_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/fsys/fault"
	"github.com/flops-vit/flops/internal/testkit"
)

// TestAtomicFile: at every fault the file has its old or its new content.
func TestAtomicFile(t *testing.T) {
	for _, mode := range []fault.Mode{fault.Kill, fault.Short, fault.Once} {
		for n := 1; ; n++ {
			path := filepath.Join(t.TempDir(), "ledger.json")
			testkit.Must(t, fsys.WriteFile(fsys.OS, path, []byte("old")))
			disk := &fault.FS{Mode: mode, At: n, Err: syscall.ENOSPC}
			err := fsys.WriteFile(disk, path, []byte("new"))
			if !disk.Hit() {
				testkit.Must(t, err)
				break
			}
			if mode == fault.Kill {
				testkit.Must(t, disk.PowerLoss(n%2 == 0))
			}
			b, rerr := os.ReadFile(path)
			testkit.Must(t, rerr)
			if s := string(b); s != "new" && (s != "old" || err == nil) {
				t.Errorf("mode %d, op %d: %q after %v", mode, n, b, err)
			}
		}
	}
}
