package lora

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/testkit"
)

// cores is set with cores of 2 by 2 between directions that are plain numbers.
func cores(t *testing.T) (s *Set, weights []*forward.Param, of []Directions, loss func() float64) {
	t.Helper()
	_, weights, loss = set(t)
	for i, w := range weights {
		out, in := w.Shape[0], len(w.Data)/w.Shape[0]
		of = append(of, Directions{Left: testkit.Fill(2*out, float64(i)), Right: testkit.Fill(2*in, float64(i)+3)})
	}
	return NewCores(weights, 2, of), weights, of, loss
}

// TestCores: cores change nothing to begin with; their gradients are those of finite
// differences through the merged weights, W₀ + Lᵀ C R; and a state is read as the adapter
// that computes alike, and brings directions and cores back.
func TestCores(t *testing.T) {
	s, weights, of, loss := cores(t)
	before := append([]float32{}, weights[1].Data...)
	s.Merge()
	for i, v := range weights[1].Data {
		if v != before[i] {
			t.Fatalf("weight %d is %v, was %v", i, v, before[i])
		}
	}
	for _, p := range s.Params() {
		copy(p.Data, testkit.Fill(len(p.Data), 0.7))
	}
	s.Merge()
	w := weights[1]
	in := len(w.Data) / w.Shape[0]
	for k, v := range w.Data {
		want := float64(before[k])
		for a := range 2 {
			for b := range 2 {
				want += float64(of[1].Left[a*w.Shape[0]+k/in]) * float64(s.Params()[1].Data[2*a+b]) *
					float64(of[1].Right[b*in+k%in])
			}
		}
		if math.Abs(want-float64(v)) > 1e-5 {
			t.Fatalf("merged weight %d is %v, want %v", k, v, want)
		}
	}
	differentiate(weights)
	if with := s.Through(weights); len(with) != 2 || with[0] != s.Params()[0] || with[1] != s.Params()[1] {
		t.Fatalf("%d parameters, or in another order", len(with))
	}
	core, full := append([]float32{}, s.Params()[0].Grad...), append([]float32{}, weights[0].Grad...)
	(*Set)(nil).Narrow()() // a run without adapters has nothing to narrow
	restore := s.Narrow()
	narrow := append([]float32{}, weights[0].Grad...)
	restore()
	for i, v := range narrow { // what L and R keep, with directions that are no orthonormal ones
		var want float64
		for a := range 2 {
			for b := range 2 {
				want += float64(of[0].Left[a*5+i/7]) * float64(core[2*a+b]) * float64(of[0].Right[b*7+i%7])
			}
		}
		if math.Abs(want-float64(v)) > 1e-4*(1+math.Abs(want)) || weights[0].Grad[i] != full[i] {
			t.Fatalf("number %d narrowed to %v, want %v; then %v, was %v", i, v, want, weights[0].Grad[i], full[i])
		}
	}
	agree(t, s, loss)
	s.Merge()
	state := s.State(nil)
	kept, alpha := Read(state)
	if len(kept) != 2 || alpha != 2 || len(kept[0].B) != 10 || len(kept[0].A) != 14 {
		t.Fatalf("%d adapters, alpha %v", len(kept), alpha)
	}
	for o := range 5 {
		for i := range 7 {
			want := float64(kept[0].Base[o*7+i])
			for k := range 2 {
				want += float64(kept[0].B[o*2+k]) * float64(kept[0].A[k*7+i])
			}
			if got := float64(weights[0].Data[o*7+i]); math.Abs(got-want) > 1e-5 {
				t.Fatalf("the adapter read gives %v at %d, %d, the core %v", want, o, i, got)
			}
		}
	}
	back, fresh, other, _ := cores(t)
	clear(other[0].Left)
	testkit.Must(t, back.Restore(state))
	back.Merge()
	for i, v := range weights[0].Data {
		if fresh[0].Data[i] != v || other[0].Left[i%10] != of[0].Left[i%10] {
			t.Fatalf("number %d is %v, was %v", i, fresh[0].Data[i], v)
		}
	}
	if back.Begin("a.weight", kept[0].A, kept[0].B) {
		t.Error("a core begins with an adapter")
	}
	delete(state, Prefix+"a"+left)
	if back.Restore(state) == nil {
		t.Error("a state without directions was taken")
	}
	if broken, _ := Read(state); broken[0].B != nil {
		t.Error("a core without directions is an adapter")
	}
}
