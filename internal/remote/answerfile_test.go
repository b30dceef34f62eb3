package remote

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	faulty "github.com/flops-vit/flops/internal/fsys/fault"
)

// kept makes a file of n answers to requests of 2 images.
func kept(t *testing.T, disk fsys.FS, path string, n int) (*AnswerFile, error) {
	t.Helper()
	a, err := OpenAnswers(disk, path, func(s string) { t.Error(s) })
	if err != nil {
		return nil, err
	}
	for i := 0; i < n; i += 2 {
		if err := a.Asked(2); err != nil {
			return a, err
		}
		for k := i; k < i+2; k++ {
			if err := a.Put(Key{byte(k), 7}, []float32{float32(k), 1, 2}); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

// One flipped bit, anywhere in the file, costs one record: the answers after it
// are there, what is lost counts as paid for, and it is said.
func TestAnswerFileFlippedBits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.bin")
	const n = 6
	a, err := kept(t, fsys.OS, path, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(whole) {
		raw := bytes.Clone(whole)
		raw[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		var said []string
		a, err := OpenAnswers(&faulty.FS{}, path, func(s string) { said = append(said, s) })
		if err != nil {
			t.Fatalf("bit %d: %v", bit, err)
		}
		if a.Len() < n-1 || a.Len() == n-1 && (len(said) != 1 || a.Lost() != 1) {
			t.Fatalf("bit %d: %d answers of %d, %d lost, %q", bit, a.Len(), n, a.Lost(), said)
		}
		if err := a.Put(Key{99}, []float32{5, 6, 7}); err != nil {
			t.Fatal(err)
		}
		out := make([]float32, 3)
		for k := range n {
			if ok, err := a.Get(Key{byte(k), 7}, out); err != nil || ok && out[0] != float32(k) {
				t.Fatalf("bit %d: answer %d is %v, %v", bit, k, out, err)
			}
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if a, err = ReadAnswers(fsys.OS, path, func(string) {}); err != nil {
			t.Fatal(err)
		}
		if ok, err := a.Get(Key{99}, out); !ok || err != nil || out[2] != 7 {
			t.Fatalf("bit %d: what was added is %v, %v, %v", bit, ok, out, err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d bits flipped", 8*len(whole))
}

// A process that is killed at any byte has paid for what it had asked for.
func TestAnswerFileCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.bin")
	a, err := kept(t, fsys.OS, path, 4)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a request that brought nothing, and one that is under way
		if err := a.Asked(3); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Asked(-3); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	paid := int64(0)
	for n := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		a, err := OpenAnswers(&faulty.FS{}, path, func(string) {})
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		now := int64(a.Len()) + a.Lost()
		if now < paid && n < len(whole) {
			t.Errorf("%d bytes: %d paid for, %d before", n, now, paid)
		}
		paid = now
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if paid != 4+3 {
		t.Errorf("%d are paid for, want 4 answered and 3 under way", paid)
	}
}

// A full disk is an error that names the file, and costs no answer before it.
func TestAnswerFileFullDisk(t *testing.T) {
	for at := 1; ; at++ {
		path := filepath.Join(t.TempDir(), "answers.bin")
		disk := &faulty.FS{Mode: faulty.Short, At: at, Err: syscall.ENOSPC}
		a, err := kept(t, disk, path, 6)
		had := 0
		if a != nil {
			had = a.Len()
			_ = a.Close() // of a disk that failed
		}
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("operation %d: %v does not name the file", at, err)
		}
		a, err = OpenAnswers(fsys.OS, path, func(string) {})
		if err != nil || a.Len() < had {
			t.Fatalf("operation %d: %v, %d answers of %d", at, err, a.Len(), had)
		}
		_ = a.Close()
	}
}

func TestOldAnswerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.bin")
	if err := os.WriteFile(path, []byte(oldMagic+"whatever"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := OpenAnswers(fsys.OS, path, func(string) {})
	userError(t, err, path, "older version")
}
