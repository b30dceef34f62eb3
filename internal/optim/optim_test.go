package optim

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/forward"
)

// TestAdamW compares three updates with PyTorch's
// AdamW([1,-2], lr=0.1, betas=(0.9,0.99), eps=1e-8, weight_decay=0.1) on the
// gradients [0.5,-1], [0.1,2], [-0.3,0.2].
func TestAdamW(t *testing.T) {
	p := &forward.Param{Name: "w", Data: []float32{1, -2}, Grad: make([]float32, 2), Decay: true}
	o, err := New("adamw", Options{WeightDecay: 0.1, Own: Eps.With(Betas.With(nil, []float64{0.9, 0.99}), 1e-8)})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]float64{{0.8899999856948853, -1.8799999952316284}, {0.800627589225769, -1.8977607488632202},
		{0.7715064287185669, -1.9126943349838257}}
	for s, g := range [][]float32{{0.5, -1}, {0.1, 2}, {-0.3, 0.2}} {
		copy(p.Grad, g)
		if s == 2 { // through a checkpoint
			fresh, _ := New("adamw", Options{WeightDecay: 0.1, Own: Eps.With(Betas.With(nil, []float64{0.9, 0.99}), 1e-8)})
			if err := fresh.Restore(o.State()); err != nil {
				t.Fatal(err)
			}
			o = fresh
		}
		o.Step([]*forward.Param{p}, 0.1)
		for i := range p.Data {
			if math.Abs(float64(p.Data[i])-want[s][i]) > 1e-6 {
				t.Errorf("update %d: w[%d] = %v, PyTorch %v", s, i, p.Data[i], want[s][i])
			}
		}
	}
}

func TestSGD(t *testing.T) {
	p := &forward.Param{Name: "w", Data: []float32{1}, Grad: []float32{1}}
	o, _ := New("sgd", Options{WeightDecay: 9, Own: Momentum.With(nil, 0.5)})
	for _, want := range []float32{0.9, 0.75, 0.575} { // v = 1, 1.5, 1.75; no decay: p.Decay is false
		o.Step([]*forward.Param{p}, 0.1)
		if math.Abs(float64(p.Data[0]-want)) > 1e-6 {
			t.Errorf("w = %v, want %v", p.Data[0], want)
		}
	}
	if err := o.Restore(map[string][]float32{"w.exp_avg": {1}}); err == nil {
		t.Error("took AdamW's state")
	}
}

func TestClip(t *testing.T) {
	p := []*forward.Param{{Grad: []float32{3}}, {Grad: []float32{0, -4}}}
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

// TestAdamWFirstUpdate by hand: m = (1−β₁)g and v = (1−β₂)g² are corrected to g
// and g², so that the first update is lr·g/(|g|+ε), after a decay by 1 − lr·λ where
// the parameter decays. Gradients as small as ε show where it stands.
func TestAdamWFirstUpdate(t *testing.T) {
	for _, decays := range []bool{true, false} {
		p := &forward.Param{Name: "w", Data: []float32{2, 2, 2, -2}, Grad: []float32{1e-3, -1e-3, 3e-3, 0},
			Decay: decays}
		o, err := New("adamw", Options{WeightDecay: 0.5, Own: Eps.With(Betas.With(nil, []float64{0.8, 0.95}), 1e-3)})
		if err != nil {
			t.Fatal(err)
		}
		o.Step([]*forward.Param{p}, 0.1)
		keep := 1.0
		if decays {
			keep = 1 - 0.1*0.5
		}
		for i, want := range []float64{2*keep - 0.1*0.5, 2*keep + 0.1*0.5, 2*keep - 0.1*0.75, -2 * keep} {
			if math.Abs(float64(p.Data[i])-want) > 1e-6 {
				t.Errorf("decay %v: w[%d] = %v, by hand %v", decays, i, p.Data[i], want)
			}
		}
	}
}

// TestAdamWCountsEachParameter: a parameter that had no gradient for some steps
// is corrected by its own count of updates.
func TestAdamWCountsEachParameter(t *testing.T) {
	a := &forward.Param{Name: "a", Data: []float32{0}, Grad: []float32{1}}
	b := &forward.Param{Name: "b", Data: []float32{0}, Grad: []float32{1}}
	o, _ := New("adamw", Options{Own: Betas.With(nil, []float64{0.9, 0.99})})
	for range 5 {
		o.Step([]*forward.Param{a}, 0.1)
	}
	o.Step([]*forward.Param{a, b}, 0.1)
	// a constant gradient of 1 moves by the rate at every update
	if math.Abs(float64(a.Data[0])+0.6) > 1e-5 || math.Abs(float64(b.Data[0])+0.1) > 1e-6 {
		t.Errorf("six updates of 0.1 end at %v, one at %v", a.Data[0], b.Data[0])
	}
}

// TestSGDDecays: weight decay scales what decays by 1 − lr·λ at every update,
// beside a momentum that a checkpoint carries.
func TestSGDDecays(t *testing.T) {
	p := &forward.Param{Name: "w", Data: []float32{1}, Grad: []float32{0.5}, Decay: true}
	opt := Options{WeightDecay: 2, Own: Momentum.With(nil, 0.9)}
	o, _ := New("sgd", opt)
	w, v := 1.0, 0.0
	for k := range 4 {
		if k == 2 {
			state := o.State()
			o, _ = New("sgd", opt)
			if err := o.Restore(state); err != nil {
				t.Fatal(err)
			}
			for _, old := range state { // what is restored is the optimizer's own
				clear(old)
			}
		}
		o.Step([]*forward.Param{p}, 0.1)
		v = 0.9*v + 0.5
		if w = w*(1-0.1*2) - 0.1*v; math.Abs(float64(p.Data[0])-w) > 1e-6 {
			t.Errorf("update %d: %v, by hand %v", k, p.Data[0], w)
		}
	}
}

// TestWarmup: the rate rises by equal parts from the first step on, reaches the
// full rate with the last step of the warm-up, and a cosine spans what is left.
func TestWarmup(t *testing.T) {
	s := Schedule{Kind: "cosine", LR: 1, MinLR: 0.2, Steps: 104, Warmup: 4}
	for step, want := range map[int]float64{0: 0.25, 1: 0.5, 2: 0.75, 3: 1, 4: 1, 29: 0.2 + 0.4*(1+math.Sqrt2/2), 54: 0.6,
		104: 0.2, 200: 0.2} {
		if got := s.At(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: %v, want %v", step, got, want)
		}
	}
	drops := Schedule{Kind: "step", LR: 8, Every: 10, Gamma: 0.5}
	for step, want := range map[int]float64{0: 8, 9: 8, 10: 4, 19: 4, 30: 1} {
		if got := drops.At(step); got != want {
			t.Errorf("step %d: %v, want %v", step, got, want)
		}
	}
}

// TestClipLeavesShort: gradients shorter than the limit stay as they are, longer
// ones keep their direction.
func TestClipLeavesShort(t *testing.T) {
	p := []*forward.Param{{Grad: []float32{3, 4}}}
	if n := Clip(p, 6); n != 5 || p[0].Grad[0] != 3 || p[0].Grad[1] != 4 {
		t.Errorf("norm %v, gradient %v", n, p[0].Grad)
	}
	if Clip(p, 2.5); math.Abs(float64(p[0].Grad[0])-1.5) > 1e-6 || math.Abs(float64(p[0].Grad[1])-2) > 1e-6 {
		t.Errorf("clipped to half: %v", p[0].Grad)
	}
}
