package lora

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/testkit"
)

// set is adapters beside a weight of 5 by 7 and one of 6 by 2·2, which a loss
// Σ_w Σ c ∘ W² reads.
func set(t *testing.T) (s *Set, weights []*forward.Param, loss func() float64) {
	t.Helper()
	for i, shape := range [][]int{{5, 7}, {6, 2, 2}} {
		n := 1
		for _, v := range shape {
			n *= v
		}
		weights = append(weights, &forward.Param{Name: string(rune('a'+i)) + ".weight", Shape: shape,
			Data: testkit.Fill(n, float64(i)), Grad: make([]float32, n)})
	}
	s = New(weights, Options{Rank: 3, Alpha: 6, Seed: 4})
	return s, weights, func() (sum float64) {
		for i, w := range weights {
			for k, v := range w.Data {
				sum += math.Sin(float64(k+i)) * float64(v) * float64(v)
			}
		}
		return sum
	}
}

// differentiate gives weights the gradient of set's loss by them.
func differentiate(weights []*forward.Param) {
	for i, w := range weights {
		for k, v := range w.Data {
			w.Grad[k] = float32(2 * math.Sin(float64(k+i)) * float64(v))
		}
	}
}

// agree compares the gradients of what is learned with finite differences of a loss of the
// merged weights, to float32's rounding.
func agree(t *testing.T, s *Set, loss func() float64) {
	t.Helper()
	for _, p := range s.Params() {
		for k := range p.Data {
			at := func(d float32) float64 {
				keep := p.Data[k]
				p.Data[k] += d
				s.Merge()
				p.Data[k] = keep
				return loss()
			}
			const h = 1e-2
			if want := (at(h) - at(-h)) / (2 * h); math.Abs(want-float64(p.Grad[k])) > 2e-3*(1+math.Abs(want)) {
				t.Fatalf("%s, number %d: gradient %v, finite difference %v", p.Name, k, p.Grad[k], want)
			}
		}
	}
}

// TestNew: adapters change nothing to begin with, and another seed draws others.
func TestNew(t *testing.T) {
	s, weights, _ := set(t)
	before := append([]float32{}, weights[0].Data...)
	s.Merge()
	for i, v := range weights[0].Data {
		if v != before[i] {
			t.Fatalf("weight %d is %v, was %v", i, v, before[i])
		}
	}
	other := New(weights, Options{Rank: 3, Alpha: 6, Seed: 5})
	if s.Params()[0].Data[0] == other.Params()[0].Data[0] || s.Params()[0].Data[0] == s.Params()[2].Data[0] {
		t.Error("factors are drawn alike")
	}
}

// TestThrough: the gradients of the factors are those of finite differences through the
// merged weights, to float32's rounding, and take the weights' places.
func TestThrough(t *testing.T) {
	s, weights, loss := set(t)
	for _, p := range s.Params() {
		copy(p.Data, testkit.Fill(len(p.Data), 0.3+float64(len(p.Name)+len(p.Data))))
	}
	s.Merge()
	differentiate(weights)
	other := &forward.Param{Name: "bias"}
	with := s.Through([]*forward.Param{weights[1], other, weights[0]})
	if len(with) != 5 || with[2] != other || with[0] != s.Params()[2] || with[4] != s.Params()[1] {
		t.Fatalf("%d parameters in another order", len(with))
	}
	agree(t, s, loss)
}

// TestState: what a checkpoint keeps brings the same bits back, with averages in the
// places of factors where there are, and what is no such state is refused.
func TestState(t *testing.T) {
	s, weights, _ := set(t)
	for _, p := range s.Params() {
		copy(p.Data, testkit.Fill(len(p.Data), 2))
	}
	s.Merge()
	state := s.State(nil)
	kept, alpha := Read(state)
	if len(kept) != 2 || alpha != 6 || kept[1].Weight != "b.weight" || len(kept[1].B) != 18 {
		t.Fatalf("%d adapters, alpha %v", len(kept), alpha)
	}
	back, fresh, _ := set(t)
	if err := back.Restore(state); err != nil {
		t.Fatal(err)
	}
	back.Merge()
	for i, w := range weights {
		for k, v := range w.Data {
			if fresh[i].Data[k] != v {
				t.Fatalf("%s[%d] is %v, was %v", w.Name, k, fresh[i].Data[k], v)
			}
		}
	}
	zero := func(name string) []float32 { return make([]float32, len(state[Prefix+name])) }
	if got := s.Merged("a.weight", zero); got[3] != kept[0].Base[3] || s.Merged("c.weight", zero) != nil {
		t.Error("a weight merged with zeros is not its base")
	}
	if _, ok := s.State(zero)[Prefix+"a.lora_A.weight"]; !ok || s.State(zero)[Prefix+"a.lora_A.weight"][0] != 0 {
		t.Error("averages are not kept")
	}
	delete(state, Prefix+"a.lora_A.weight")
	if err := back.Restore(state); err == nil {
		t.Error("a state without a factor was taken")
	}
	if kept, _ := Read(map[string][]float32{"momentum.x": nil}); len(kept) != 0 {
		t.Error("adapters in an optimizer's state")
	}
}

// TestBegins: B begins with nothing and A with the variance 1/(3·in), within 4.5 standard
// errors, of every weight other numbers.
func TestBegins(t *testing.T) {
	const out, in, rank = 6, 64, 32
	var weights []*forward.Param
	for _, name := range []string{"a.weight", "b.weight"} {
		weights = append(weights, &forward.Param{Name: name, Shape: []int{out, in}, Data: make([]float32, out*in)})
	}
	p := New(weights, Options{Rank: rank, Alpha: 1, Seed: 3}).Params()
	for k, a := range p {
		var sq float64
		for _, v := range a.Data {
			sq += float64(v) * float64(v)
		}
		want := 0.0
		if k%2 == 0 {
			want = 1.0 / 3 / in
		}
		n := float64(len(a.Data))
		if math.Abs(sq/n-want) > 4.5*want*math.Sqrt(2/n) {
			t.Errorf("%s: a variance of %v, want %v", a.Name, sq/n, want)
		}
	}
	if p[0].Data[0] == p[2].Data[0] {
		t.Error("two weights begin with the same numbers")
	}
}
