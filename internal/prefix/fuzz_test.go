package prefix

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzFile opens any bytes as a cache: it is refused, or gives what its sums vouch for,
// and no record is read beyond the file.
func FuzzFile(f *testing.F) {
	key := Key{Records: 3, Width: 2}
	path := filepath.Join(f.TempDir(), "c")
	sum := func(int) (uint64, error) { return 7, nil }
	c, err := InFile(path, key, sum, func(string) {})
	if err != nil {
		f.Fatal(err)
	}
	if err := c.Close(); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:40])
	f.Add([]byte("FLOPSPRE\x01\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "c")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := InFile(path, key, sum, func(string) {})
		if err != nil {
			return
		}
		for r := range key.Records {
			if v, err := c.Recall(r, nil); err == nil && v != nil && len(v) != key.Width {
				t.Fatalf("record %d has %d numbers", r, len(v))
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
