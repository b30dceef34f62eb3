package checkpoint

import (
	"encoding/binary"
	"math"
	"os"
	"reflect"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/fsys/fault"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/testkit"
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

// build makes a model of c with classes, its numbers chosen by seed.
func build(c *Config, classes int, seed float64) *Model {
	m := &Model{Config: c, Preprocessor: DefaultPreprocessor(c.ImageSize, c.NumChannels)}
	for i, s := range c.Layout(classes) {
		n := 1
		for _, d := range s.Shape {
			n *= d
		}
		m.Tensors = append(m.Tensors, safetensors.Tensor{Name: s.Name, Shape: s.Shape, Data: testkit.Fill(n, seed+float64(i))})
	}
	c.Labels = nil
	for i := range classes {
		c.Labels = append(c.Labels, string(rune('a'+i%26)))
	}
	return m
}

func save(t *testing.T, dir string, m *Model, d safetensors.DType) {
	t.Helper()
	if err := SaveModel(quick(), dir, m, d); err != nil {
		t.Fatal(err)
	}
}

// sameTensors compares names, shapes and bits.
func sameTensors(a, b []safetensors.Tensor) bool {
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

// raw is a safetensors file of a header and so many zero bytes of data.
func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}
