package vit

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
)

// TestNoBias: a network whose query, key and value have no bias answers and
// learns as its twin with biases of zero, in everything that both have.
func TestNoBias(t *testing.T) {
	ctx := context.Background()
	with, b := small(t, 4)
	a := with.Arch.(Arch)
	a.NoQKVBias = true
	w, err := NewWeights(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range w.params {
		copy(p.Data, with.param(p.Name).Data)
		p.Grad = make([]float32, len(p.Data))
	}
	without := NewNet(w)
	if n := len(with.params) - len(without.params); n != 3*a.Layers {
		t.Fatalf("%d parameters less, want %d", n, 3*a.Layers)
	}
	for i, s := range without.sites {
		if s.Kind == Residual {
			continue
		}
		want := []int{s.Weight, s.Bias}
		if s.Kind == Query || s.Kind == Key || s.Kind == Value {
			want = []int{s.Weight}
		}
		if twin := with.sites[i]; !slices.Equal(s.Params(), want) ||
			without.params[s.Weight].Name != with.params[twin.Weight].Name || twin.Bias < 0 {
			t.Errorf("%s has parameters %v", s.Name, s.Params())
		}
	}
	if f, g := without.BackwardFLOPs(), with.BackwardFLOPs(); f != g {
		t.Errorf("a backward pass of %d operations, %d with biases", f, g)
	}

	same := func(what string, got, want []float32) {
		t.Helper()
		if i := firstDifference(got, want); i >= 0 {
			t.Errorf("%s differ from those with biases of zero at %d: %v, %v", what, i, got[i], want[i])
		}
	}
	grads := func(what string) {
		t.Helper()
		for _, p := range w.params {
			same(what+", gradients of "+p.Name, p.Grad, with.param(p.Name).Grad)
			clear(p.Grad)
			clear(with.param(p.Name).Grad)
		}
	}
	for _, mask := range []bool{true, false} {
		var models [2]*Model
		for i, n := range []*Net{without, with} {
			models[i] = NewModel(n, Options{Threads: 1, Noise: source(t), Loss: crossEntropy(t), Mask: mask})
		}
		var sites []int
		for i, s := range with.sites {
			if s.Kind != Residual {
				sites = append(sites, i)
			}
		}
		var pass [2]forward.Pass
		for i, m := range models {
			if pass[i], err = m.Clean(ctx, b, sites); err != nil {
				t.Fatal(err)
			}
		}
		same("clean losses", pass[0].Clean().Losses, pass[1].Clean().Losses)
		var q []forward.Query
		var terms []forward.Term
		for i := range b.Size {
			for _, sign := range []int8{1, -1} {
				q = append(q, forward.Query{Image: int32(i), Sign: sign})
			}
			terms = append(terms, forward.Term{Image: int32(i), Coef: float32(i) - 1.5})
		}
		ask := func(what string, p *forward.Perturbation, terms []forward.Term) {
			t.Helper()
			var losses [2][]float32
			for i, m := range pass {
				losses[i] = make([]float32, len(q))
				if err := m.Losses(ctx, p, q, losses[i]); err != nil {
					t.Fatal(err)
				}
				if err := m.Accumulate(ctx, p, terms); err != nil {
					t.Fatal(err)
				}
			}
			same(what+", losses", losses[0], losses[1])
			if slices.ContainsFunc(losses[0], func(l float32) bool { return math.IsNaN(float64(l)) }) {
				t.Errorf("%s: losses %v", what, losses[0])
			}
			grads(what)
		}
		sigma := make([]float32, len(sites))
		for s := range sites {
			sigma[s] = 0.05
			ask(with.sites[s].Name, &forward.Perturbation{Step: 2, Sites: []int{s}, Sigma: []float32{0.05}}, terms)
		}
		for i := range terms {
			terms[i].Sign = 1
		}
		ask("joint", &forward.Perturbation{Step: 3, Sites: sites, Sigma: sigma}, terms)
		for _, m := range models {
			if _, err := m.Backward(ctx, b); err != nil {
				t.Fatal(err)
			}
		}
		grads("backward")
	}
}
