package checkpoint

import (
	"bytes"
	"os"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/fsys/fault"
	"github.com/flops-vit/flops/internal/hf"
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

// tiny is a model of the smallest ViT worth the name, its numbers chosen by seed.
func tiny(seed float64) *hf.Model {
	c := hf.DefaultConfig()
	c.HiddenSize, c.NumLayers, c.NumHeads, c.IntermediateSize = 4, 2, 2, 8
	c.ImageSize, c.PatchSize, c.Labels = 4, 2, []string{"a", "b", "c"}
	m := &hf.Model{Config: c}
	for i, s := range c.Layout(len(c.Labels)) {
		n := 1
		for _, d := range s.Shape {
			n *= d
		}
		m.Tensors = append(m.Tensors,
			safetensors.Tensor{Name: s.Name, Shape: s.Shape, Data: testkit.Fill(n, seed+float64(i))})
	}
	return m
}

// sameTensors compares names, shapes and bits.
func sameTensors(a, b []safetensors.Tensor) bool {
	var x, y bytes.Buffer
	return safetensors.Write(&x, a, safetensors.F32, nil) == nil &&
		safetensors.Write(&y, b, safetensors.F32, nil) == nil &&
		bytes.Equal(x.Bytes(), y.Bytes())
}
