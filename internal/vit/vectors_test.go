package vit

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/flops-vit/flops/forward"
)

// TestParityVectors compares a tiny network with PyTorch, tensor by tensor:
// logits, losses and every gradient to 1e-5 of the tensor's largest value.
func TestParityVectors(t *testing.T) {
	raw, err := os.ReadFile("../../testdata/parity/tiny-vit.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Arch      Arch
		Images    []float32
		Labels    []int32
		Logits    []float32
		Losses    []float32
		Params    map[string][]float32
		Gradients map[string][]float32
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	w, err := NewWeights(v.Arch)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range w.params {
		if copy(p.Data, v.Params[p.Name]) != len(p.Data) {
			t.Fatalf("%s: %d values in the file, %d in the network", p.Name, len(v.Params[p.Name]), len(p.Data))
		}
		p.Grad = make([]float32, len(p.Data))
	}
	m := NewModel(NewNet(w), Options{Threads: 2, Loss: crossEntropy(t), Mask: true})
	c, err := m.Backward(context.Background(), &forward.Batch{Size: len(v.Labels), Inputs: v.Images,
		Labels: v.Labels, Index: make([]int32, len(v.Labels))})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "logits", c.Logits, v.Logits)
	compare(t, "losses", c.Losses, v.Losses)
	for _, p := range w.params {
		compare(t, p.Name, p.Grad, v.Gradients[p.Name])
	}
}

func compare(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, PyTorch has %d", name, len(got), len(want))
	}
	var top, worst float64
	for i := range want {
		top = max(top, math.Abs(float64(want[i])))
		worst = max(worst, math.Abs(float64(got[i]-want[i])))
	}
	if !(worst <= 1e-5*top+1e-7) {
		t.Errorf("%s: differs by %.3g of at most %.3g", name, worst, top)
	}
}
