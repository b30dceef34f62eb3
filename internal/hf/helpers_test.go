package hf

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/fsys/fault"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/testkit"
)

// quick is a disk that does not wait for the real one.
func quick() fsys.FS { return &fault.FS{} }

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
		m.Tensors = append(m.Tensors,
			safetensors.Tensor{Name: s.Name, Shape: s.Shape, Data: testkit.Fill(numbers(s.Shape), seed+float64(i))})
	}
	c.Labels = nil
	for i := range classes {
		c.Labels = append(c.Labels, string(rune('a'+i%26)))
	}
	return m
}

// numbers is how many a shape has.
func numbers(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func save(t *testing.T, dir string, m *Model, d safetensors.DType) {
	t.Helper()
	if err := Save(quick(), dir, m, d); err != nil {
		t.Fatal(err)
	}
}

// sameTensors compares names, shapes and bits.
func sameTensors(a, b []safetensors.Tensor) bool {
	var x, y bytes.Buffer
	return safetensors.Write(&x, a, safetensors.F32, nil) == nil &&
		safetensors.Write(&y, b, safetensors.F32, nil) == nil &&
		bytes.Equal(x.Bytes(), y.Bytes())
}

// raw is a safetensors file of a header and so many zero bytes of data.
func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}
