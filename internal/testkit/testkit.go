// Package testkit has what the tests of several packages do alike.
package testkit

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

// Must ends the test at an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Mistake demands an error for the user with these words in its first line.
func Mistake(t testing.TB, err error, words ...string) {
	t.Helper()
	e, ok := uierr.As(err)
	if !ok {
		t.Fatalf("%v is no mistake of the user with a hint", err)
	}
	if e.Hint == "" || strings.Contains(e.What, "\n") {
		t.Errorf("%q: hint %q", e.What, e.Hint)
	}
	for _, w := range words {
		if !strings.Contains(e.What, w) {
			t.Errorf("%q does not say %q", e.What, w)
		}
	}
}

// Allocated is the number of bytes that f allocates.
func Allocated(f func()) uint64 {
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	f()
	runtime.ReadMemStats(&b)
	return b.TotalAlloc - a.TotalAlloc
}

// Fill makes the numbers of a tensor, different for each seed and position.
func Fill(n int, seed float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(math.Sin(seed + 0.7*float64(i)))
	}
	return v
}

// Float64s are the same numbers in double precision.
func Float64s(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// Write makes a file of these bytes.
func Write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Shared is a path in the shared folder, for a package two folders below the
// root; the test is skipped without it.
func Shared(t testing.TB, path string) string {
	t.Helper()
	p := filepath.Join(sharedRoot(), path)
	if _, err := os.Stat(p); errors.Is(err, os.ErrNotExist) {
		t.Skipf("no %s", p)
	}
	return p
}

// sharedRoot is the shared folder, for a package two folders below the root.
func sharedRoot() string {
	if root := os.Getenv("FLOPS_SHARED"); root != "" {
		return root
	}
	return filepath.Join("..", "..", "..", "shared")
}
