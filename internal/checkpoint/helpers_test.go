package checkpoint

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/fsys/fault"
	"github.com/flops-vit/flops/internal/uierr"
)

// quick is a disk that does not wait for the real one.
func quick() fsys.FS { return &fault.FS{} }

// fastDir is a temporary folder, in memory where there is one.
func fastDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "flops-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// tinyConfig is the smallest ViT worth the name.
func tinyConfig() *Config {
	c := DefaultConfig()
	c.HiddenSize, c.NumLayers, c.NumHeads, c.IntermediateSize = 4, 2, 2, 8
	c.ImageSize, c.PatchSize = 4, 2
	return c
}

// fill makes the numbers of a tensor, different for each seed and position.
func fill(n int, seed float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(math.Sin(seed + 0.7*float64(i)))
	}
	return v
}

// build makes a model of c with classes, its numbers chosen by seed.
func build(c *Config, classes int, seed float64) *Model {
	m := &Model{Config: c, Preprocessor: DefaultPreprocessor(c.ImageSize, c.NumChannels)}
	for i, s := range c.Layout(classes) {
		n := 1
		for _, d := range s.Shape {
			n *= d
		}
		m.Tensors = append(m.Tensors, Tensor{s.Name, s.Shape, fill(n, seed+float64(i))})
	}
	c.Labels = nil
	for i := range classes {
		c.Labels = append(c.Labels, string(rune('a'+i%26)))
	}
	return m
}

func save(t *testing.T, dir string, m *Model, d DType) {
	t.Helper()
	if err := SaveModel(quick(), dir, m, d); err != nil {
		t.Fatal(err)
	}
}

// sameTensors compares names, shapes and bits.
func sameTensors(a, b []Tensor) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || !reflect.DeepEqual(a[i].Shape, b[i].Shape) || len(a[i].Data) != len(b[i].Data) {
			return false
		}
		for j := range a[i].Data {
			if math.Float32bits(a[i].Data[j]) != math.Float32bits(b[i].Data[j]) {
				return false
			}
		}
	}
	return true
}

// wantMistake demands an error for the user with these words in its first line.
func wantMistake(t *testing.T, err error, words ...string) {
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

// raw is a safetensors file of a header and so many zero bytes of data.
func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// allocated is the number of bytes that f allocates.
func allocated(f func()) uint64 {
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	f()
	runtime.ReadMemStats(&b)
	return b.TotalAlloc - a.TotalAlloc
}

// shared is a path in the shared folder; the test is skipped without it.
func shared(t *testing.T, path string) string {
	t.Helper()
	root := os.Getenv("FLOPS_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	p := filepath.Join(root, path)
	if _, err := os.Stat(p); errors.Is(err, os.ErrNotExist) {
		t.Skipf("no %s", p)
	}
	return p
}
