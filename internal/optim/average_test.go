package optim

import (
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
)

// TestAverage follows a weight through a hundred updates beside the rule in
// float64, with the average saved and restored on the way as a run does.
func TestAverage(t *testing.T) {
	p := &forward.Param{Name: "w", Data: []float32{5, -1}}
	a := NewAverage(0.9, []*forward.Param{p})
	want := []float64{5, -1}
	for s := 1; s <= 100; s++ {
		for i := range p.Data {
			p.Data[i] += float32(math.Sin(float64(3*s + i)))
			d := min(0.9, (1+float64(s))/(10+float64(s)))
			want[i] = d*want[i] + (1-d)*float64(p.Data[i])
		}
		a.Update(s)
		if s == 40 {
			last, state := slices.Clone(p.Data), a.State()
			copy(p.Data, a.Of("w")) // what the checkpoint's model holds
			a = NewAverage(0.9, []*forward.Param{p})
			if err := a.Restore(state); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(p.Data, last) {
				t.Errorf("goes on from %v, not %v", p.Data, last)
			}
		}
		for i, v := range a.Of("w") {
			if math.Abs(float64(v)-want[i]) > 1e-5 {
				t.Fatalf("update %d: average %v, want %v", s, v, want[i])
			}
		}
	}
	last, avg := slices.Clone(p.Data), slices.Clone(a.Of("w"))
	a.Swap()
	if !slices.Equal(p.Data, avg) || !slices.Equal(a.Of("w"), last) {
		t.Error("not exchanged")
	}
	if a.Swap(); !slices.Equal(p.Data, last) {
		t.Error("not exchanged back")
	}
	if err := a.Restore(map[string][]float32{"w.exp_avg": {1, 2}}); err == nil {
		t.Error("took a state without weights")
	}
}
