package vit

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/noise"
)

// Queries of the weights start at the lowest trained block, with the bits of a
// whole forward, and from the pixels where something below is perturbed.
func TestWeightQueriesStartAtTheTrainedBlock(t *testing.T) {
	ctx := context.Background()
	a := Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 16, Layers: 3, Heads: 2, MLP: 24, Classes: 3, Eps: 1e-6}
	src := noise.Gaussian(3)
	b := &forward.Batch{Size: 5, Inputs: make([]float32, 5*3*64), Labels: []int32{0, 1, 2, 1, 0}, Index: []int32{0,
		1, 2, 3, 4}}
	g := noise.Rand(5, noise.Test)
	for i := range b.Inputs {
		b.Inputs[i] = float32(g.Normal())
	}
	for _, c := range []struct {
		name  string // what is trained
		want  int    // the block that its queries start at
		flops int64
	}{
		{"", 0, a.forwardFLOPs()},
		{"vit.embeddings.cls_token", 0, a.forwardFLOPs()},
		{"vit.encoder.layer.0.", 0, a.forwardFLOPs()},
		{"vit.encoder.layer.1.output", 1, a.headFLOPs() + a.blockFLOPs(1) + a.blockFLOPs(2)},
		{"vit.encoder.layer.2.", 2, a.headFLOPs() + a.blockFLOPs(2)},
		{"vit.layernorm", 3, a.headFLOPs()},
		{Classifier, 3, a.headFLOPs()},
	} {
		w := drawn(t, a, 7, 10)
		p := &forward.Perturbation{Kind: forward.Weights, Step: 1, Sigma: []float32{0.1}}
		for i, x := range w.Params() {
			if strings.HasPrefix(x.Name, c.name) {
				x.Grad = make([]float32, len(x.Data))
				p.Params = append(p.Params, i)
			}
		}
		m := NewModel(NewNet(w), Options{Threads: 2, Noise: src, Loss: crossEntropy(t), Mask: true})
		pass, err := m.Clean(ctx, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if m.plan.from != c.want || m.WeightFLOPs() != c.flops {
			t.Errorf("%q: starts at block %d of %d FLOPs, want %d of %d", c.name, m.plan.from, m.WeightFLOPs(), c.want, c.flops)
		}
		var q []forward.Query
		for image := range b.Size {
			for pair := range 3 {
				q = append(q, forward.Query{Image: int32(image), Pair: int32(pair), Sign: 1},
					forward.Query{Image: int32(image), Pair: int32(pair), Sign: -1})
			}
		}
		losses := func() []float32 {
			out := make([]float32, len(q))
			if err := pass.Losses(ctx, p, q, out); err != nil {
				t.Fatal(err)
			}
			return out
		}
		got := losses()
		m.plan.from = 0
		if want := losses(); !slices.Equal(got, want) {
			t.Errorf("%q: losses from block %d %v, from the pixels %v", c.name, c.want, got, want)
		}
		m.plan.from = c.want
		if c.want == 0 {
			continue
		}
		p.Params = []int{0} // the cls token, below every block
		got = losses()
		m.plan.from = 0
		if want := losses(); !slices.Equal(got, want) {
			t.Errorf("%q: a perturbation below the start was not seen", c.name)
		}
	}
}
