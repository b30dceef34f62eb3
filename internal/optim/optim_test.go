package optim

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/internal/query"
)

// TestAdamW compares three updates with PyTorch's
// AdamW([1,-2], lr=0.1, betas=(0.9,0.99), eps=1e-8, weight_decay=0.1) on the
// gradients [0.5,-1], [0.1,2], [-0.3,0.2].
func TestAdamW(t *testing.T) {
	p := &query.Param{Name: "w", Data: []float32{1, -2}, Grad: make([]float32, 2), Decay: true}
	o, err := New("adamw", Options{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]float64{{0.8899999856948853, -1.8799999952316284}, {0.800627589225769, -1.8977607488632202}, {0.7715064287185669, -1.9126943349838257}}
	for s, g := range [][]float32{{0.5, -1}, {0.1, 2}, {-0.3, 0.2}} {
		copy(p.Grad, g)
		if s == 2 { // through a checkpoint
			fresh, _ := New("adamw", Options{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1})
			if err := fresh.Restore(o.State()); err != nil {
				t.Fatal(err)
			}
			o = fresh
		}
		o.Step([]*query.Param{p}, 0.1)
		for i := range p.Data {
			if math.Abs(float64(p.Data[i])-want[s][i]) > 1e-6 {
				t.Errorf("update %d: w[%d] = %v, PyTorch %v", s, i, p.Data[i], want[s][i])
			}
		}
	}
}

func TestSGD(t *testing.T) {
	p := &query.Param{Name: "w", Data: []float32{1}, Grad: []float32{1}}
	o, _ := New("sgd", Options{Momentum: 0.5, WeightDecay: 9})
	for _, want := range []float32{0.9, 0.75, 0.575} { // v = 1, 1.5, 1.75; no decay: p.Decay is false
		o.Step([]*query.Param{p}, 0.1)
		if math.Abs(float64(p.Data[0]-want)) > 1e-6 {
			t.Errorf("w = %v, want %v", p.Data[0], want)
		}
	}
	if err := o.Restore(map[string][]float32{"w.exp_avg": {1}}); err == nil {
		t.Error("took AdamW's state")
	}
}

func TestClip(t *testing.T) {
	p := []*query.Param{{Grad: []float32{3}}, {Grad: []float32{0, -4}}}
	if n := Clip(p, 1); n != 5 {
		t.Errorf("norm %v", n)
	}
	if n := GradNorm(p); math.Abs(n-1) > 1e-6 {
		t.Errorf("norm after clipping %v", n)
	}
	if Clip(p, 0); math.Abs(GradNorm(p)-1) > 1e-6 {
		t.Error("limit 0 clipped")
	}
}

func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		s    Schedule
		step int
		want float64
	}{
		{Schedule{Kind: "constant", LR: 2}, 50, 2},
		{Schedule{Kind: "constant", LR: 2, Warmup: 4}, 1, 1},
		{Schedule{Kind: "cosine", LR: 1, MinLR: 0.2, Steps: 100}, 0, 1},
		{Schedule{Kind: "cosine", LR: 1, MinLR: 0.2, Steps: 100}, 50, 0.6},
		{Schedule{Kind: "cosine", LR: 1, MinLR: 0.2, Steps: 100}, 100, 0.2},
		{Schedule{Kind: "step", LR: 1, Every: 10, Gamma: 0.5}, 25, 0.25},
	} {
		if got := c.s.At(c.step); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v at %d: %v, want %v", c.s, c.step, got, c.want)
		}
	}
	if (Schedule{Kind: "linear"}).Check() == nil {
		t.Error("took an unknown kind")
	}
}
