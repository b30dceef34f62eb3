package vit

import (
	"context"
	"math"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/noise"
)

// Backpropagation of every family and every activation function agrees with
// central differences of the mean loss along the gradient itself and along a
// random direction, for all parameters at once: to 1%, which float32 losses of a
// few units and steps of 1e-3 allow.
func TestFamiliesBackpropagate(t *testing.T) {
	a := Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 16, Layers: 2, Heads: 2, MLP: 24, Classes: 3, Eps: 1e-5}
	with := func(f Act) Arch { b := a; b.Act = f; return b }
	tower := a
	tower.Classes = 0
	deep := tower
	deep.Prompts, deep.Deep, deep.Layers = 2, true, 3
	deepViT := a
	deepViT.Prompts, deepViT.Deep = 3, true
	for name, arch := range map[string]Architecture{
		"prompts in every block": deepViT, "CLIP with prompts in every block": CLIPVision{Arch: deep, Projected: 5},
		"gelu by tanh": with(TanhGELU), "quick gelu": with(QuickGELU), "silu": with(SiLU), "relu": with(ReLU),
		"CLIP": CLIPVision{Arch: tower, Projected: 5}, "CLIP with a classifier": CLIPVision{Arch: a, Projected: 5},
		"CLIP without a projection": CLIPVision{Arch: a}, "CLIP's rows alone": CLIPVision{Arch: tower},
	} {
		t.Run(name, func(t *testing.T) {
			w := drawn(t, arch, 3, 1)
			w.trainAll(func(p *forward.Param) bool { return p.Name == "classifier.weight" || p.Role == "cls_token" })
			m := NewModel(NewNet(w), Options{Threads: 1, Loss: crossEntropy(t), Mask: true})
			b := &forward.Batch{Size: 4, Inputs: make([]float32, 4*3*64), Labels: []int32{0, 1, 2, 1},
				Index: []int32{0, 1, 2, 3}}
			r := noise.Rand(5, noise.Test)
			for i := range b.Inputs {
				b.Inputs[i] = float32(r.Normal())
			}
			if _, err := m.Backward(context.Background(), b); err != nil {
				t.Fatal(err)
			}
			for k, u := range directions(w) {
				want := differ(t, m, b, w, u)
				got := 0.0
				for i, p := range w.Params() {
					for j, g := range p.Grad {
						got += float64(g) * float64(u[i][j])
					}
				}
				if math.Abs(got-want) > 0.01*math.Abs(want)+2e-3 {
					t.Errorf("direction %d: a slope of %.5g, finite differences say %.5g", k, got, want)
				}
			}
		})
	}
}

// directions are unit vectors over all parameters: the gradient's and a random one.
func directions(w *Weights) [][][]float32 {
	along, random := make([][]float32, len(w.params)), make([][]float32, len(w.params))
	r := noise.Rand(9, noise.Test)
	for i, p := range w.params {
		along[i], random[i] = append([]float32(nil), p.Grad...), make([]float32, len(p.Data))
		for j := range random[i] {
			random[i][j] = float32(r.Normal())
		}
	}
	out := [][][]float32{along, random}
	for _, u := range out {
		var sq float64
		for _, v := range u {
			for _, x := range v {
				sq += float64(x) * float64(x)
			}
		}
		for _, v := range u {
			for j := range v {
				v[j] /= float32(math.Sqrt(sq))
			}
		}
	}
	return out
}

// differ is the central difference of the mean loss along u.
func differ(t *testing.T, m *Model, b *forward.Batch, w *Weights, u [][]float32) float64 {
	t.Helper()
	const h = 1e-3
	original := make([][]float32, len(w.params))
	for i, p := range w.params {
		original[i] = append([]float32(nil), p.Data...)
	}
	at := func(s float32) float64 {
		for i, p := range w.params {
			for j := range p.Data {
				p.Data[j] = original[i][j] + s*u[i][j]
			}
		}
		m.Reload()
		c, err := m.Evaluate(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		var sum float64
		for _, l := range c.Losses {
			sum += float64(l)
		}
		return sum / float64(b.Size)
	}
	d := (at(h) - at(-h)) / (2 * h)
	at(0)
	return d
}
