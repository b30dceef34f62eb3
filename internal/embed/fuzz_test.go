package embed

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzSets reads any bytes as embeddings of every kind: what is accepted has a width,
// an id for every row, and finite numbers.
func FuzzSets(f *testing.F) {
	dir := f.TempDir()
	for _, kind := range []string{".npy", ".safetensors", ".parquet"} {
		path := filepath.Join(dir, "s"+kind)
		if err := Write(path, &Set{IDs: []string{"a", "b"}, Width: 3, Data: []float32{1, 0, 0, 0, 1, 0}}); err != nil {
			f.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		for _, kind := range []string{".npy", ".safetensors", ".parquet"} {
			path := filepath.Join(dir, "s"+kind)
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Read(path)
			if err != nil {
				continue
			}
			if s.Width < 1 || len(s.Data)%s.Width != 0 || (len(s.IDs) > 0 && len(s.IDs) != s.Len()) {
				t.Fatalf("%s: %d numbers of width %d for %d ids", kind, len(s.Data), s.Width, len(s.IDs))
			}
			for _, v := range s.Data {
				if v-v != 0 {
					t.Fatalf("%s: %v was read", kind, v)
				}
			}
		}
	})
}
