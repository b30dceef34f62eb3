package vit

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/noise"
	"gorgonia.org/gorgonia"
)

// small is a ViT with odd sizes and every parameter trained, and a batch.
func small(t testing.TB, images int) (*Net, *forward.Batch) {
	t.Helper()
	w := drawn(t, Arch{Image: 12, Patch: 4, Chans: 1, Hidden: 20, Layers: 2, Heads: 2, MLP: 28, Classes: 4,
		Prompts: 1, Eps: 1e-6}, 3, 1)
	w.trainAll(func(p *forward.Param) bool {
		return p.Role != "norm" && p.Role != "linear" || p.Name == "classifier.weight"
	})
	b := &forward.Batch{Size: images, Inputs: make([]float32, images*144), Labels: make([]int32, images),
		Index: make([]int32, images)}
	g := noise.Rand(4, noise.Test)
	for i := range b.Inputs {
		b.Inputs[i] = float32(g.Normal())
	}
	for i := range b.Labels {
		b.Labels[i] = int32(g.Intn(4))
	}
	return NewNet(w), b
}

func source(t testing.TB) noise.Source {
	t.Helper()
	s := noise.Gaussian(17)
	return s
}

// TestTapeMachine runs the same graph on our machine and on Gorgonia's
// TapeMachine: every gradient must agree bit for bit.
func TestTapeMachine(t *testing.T) {
	n, b := small(t, 3)
	build := func() (*graph, gorgonia.Nodes) {
		g := newGraph(n, 3)
		if err := g.network(nil); err != nil {
			t.Fatal(err)
		}
		seed := g.input("seed", []float32{1, 1, 1}, 3)
		var wrt gorgonia.Nodes
		for _, p := range n.params {
			wrt = append(wrt, g.param(p))
		}
		grads, err := gorgonia.Backpropagate(gorgonia.Nodes{g.losses}, gorgonia.Nodes{seed}, wrt)
		if err != nil {
			t.Fatal(err)
		}
		loss, err := objective.Bind(crossEntropy(t), b.Labels, b.Index, 4)
		if err != nil {
			t.Fatal(err)
		}
		copy(values(g.images), b.Inputs)
		copy(g.feed.Target, loss.Targets)
		g.feed.Slots, g.feed.Loss = 3, loss
		return g, append(gorgonia.Nodes{g.losses}, grads...)
	}
	g1, want := build()
	vm := gorgonia.NewTapeMachine(g1.g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	g2, got := build()
	m, err := NewMachine(g2.g, got...)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // memory is reused from run to run
		if err := m.RunAll(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range want {
		if !slices.Equal(values(got[i]), values(want[i])) {
			t.Errorf("node %d (%v) differs between the machines", i, want[i])
		}
	}
}

// TestGradients checks every parameter's gradient against central differences
// of the loss along a random direction: float32 losses leave 3e-3 relative.
func TestGradients(t *testing.T) {
	n, b := small(t, 19) // two micro-batches, the second not full
	m := NewModel(n, Options{Threads: 2, Loss: crossEntropy(t), Mask: true})
	ctx := context.Background()
	if _, err := m.Backward(ctx, b); err != nil {
		t.Fatal(err)
	}
	loss := func() float64 {
		m.Reload()
		c, err := m.Evaluate(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		var s float64
		for _, l := range c.Losses {
			s += float64(l)
		}
		return s / float64(b.Size)
	}
	for i, p := range n.params {
		g := noise.Rand(8, noise.Test, uint32(i))
		u, orig := make([]float32, len(p.Data)), slices.Clone(p.Data)
		var sq, want float64
		for j := range u {
			u[j] = float32(g.Normal()) + p.Grad[j]*10
			sq += float64(u[j]) * float64(u[j])
		}
		for j := range u {
			u[j] /= float32(math.Sqrt(sq))
			want += float64(u[j]) * float64(p.Grad[j])
		}
		at := func(h float32) float64 {
			for j := range p.Data {
				p.Data[j] = orig[j] + h*u[j]
			}
			return loss()
		}
		const h = 4e-3
		got := (8*(at(h)-at(-h)) - (at(2*h) - at(-2*h))) / (12 * h)
		copy(p.Data, orig)
		if math.Abs(got-want) > 3e-3*math.Abs(want)+1e-4 {
			t.Errorf("%s: finite difference %.6g, gradient %.6g", p.Name, got, want)
		}
	}
}

// TestWorkers: every number is the same for one, two and three workers.
func TestWorkers(t *testing.T) {
	ctx := context.Background()
	var want []float32
	for _, threads := range []int{1, 2, 3} {
		n, b := small(t, 37)
		m := NewModel(n, Options{Threads: threads, Loss: crossEntropy(t), Noise: source(t), Mask: true})
		var got []float32
		var sites []int
		for i := range n.sites {
			sites = append(sites, i)
		}
		pass, err := m.Clean(ctx, b, sites)
		if err != nil {
			t.Fatal(err)
		}
		c := pass.Clean()
		got = append(append(got, c.Losses...), c.Features...)
		var q []forward.Query
		var terms []forward.Term
		for i := 0; i < b.Size; i++ {
			for p := 0; p < 1+i%3; p++ {
				q = append(q, forward.Query{Image: int32(i), Pair: int32(p), Sign: 1},
					forward.Query{Image: int32(i), Pair: int32(p), Sign: -1})
				terms = append(terms, forward.Term{Image: int32(i), Pair: int32(p), Coef: float32(i + p)})
			}
		}
		out := make([]float32, len(q))
		joint := make([]forward.Term, len(q))
		for i, x := range q {
			joint[i] = forward.Term{Image: x.Image, Pair: x.Pair, Sign: x.Sign, Coef: float32(i)}
		}
		sigma := make([]float32, len(sites))
		for i := range sigma {
			sigma[i] = 0.1
		}
		for s := 0; s <= len(sites); s++ {
			p := &forward.Perturbation{Step: 3, Sites: sites, Sigma: sigma}
			tr := joint
			if s < len(sites) {
				p.Sites, p.Sigma, tr = []int{s}, sigma[:1], terms
			}
			if err := pass.Losses(ctx, p, q, out); err != nil {
				t.Fatal(err)
			}
			got = append(got, out...)
			if err := pass.Accumulate(ctx, p, tr); err != nil {
				t.Fatal(err)
			}
		}
		var all []int
		for i := range n.params {
			all = append(all, i)
		}
		w := &forward.Perturbation{Kind: forward.Weights, Step: 4, Params: all, Sigma: []float32{0.01}}
		if err := pass.Losses(ctx, w, q, out); err != nil {
			t.Fatal(err)
		}
		got = append(got, out...)
		if err := pass.Accumulate(ctx, w, terms[:2]); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Backward(ctx, b); err != nil {
			t.Fatal(err)
		}
		for _, p := range n.params {
			got = append(append(got, p.Grad...), p.Data...)
		}
		if want == nil {
			want = got
		} else if i := firstDifference(want, got); i >= 0 {
			t.Errorf("%d workers: number %d is %v, with one worker %v", threads, i, got[i], want[i])
		}
	}
}

func firstDifference(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// TestRestore: perturbing weights leaves every bit as it was, also after a
// failure.
func TestRestore(t *testing.T) {
	n, b := small(t, 5)
	m := NewModel(n, Options{Threads: 2, Loss: crossEntropy(t), Noise: source(t)})
	var before []float32
	var all []int
	for i, p := range n.params {
		before, all = append(before, p.Data...), append(all, i)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	pass, err := m.Clean(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &forward.Perturbation{Kind: forward.Weights, Params: all, Sigma: []float32{0.3}}
	q := []forward.Query{{Image: 0, Sign: 1}, {Image: 0, Sign: -1}, {Image: 4, Pair: 2, Sign: 1}}
	out := make([]float32, 3)
	for range 2 {
		if err := pass.Losses(ctx, p, q, out); (err != nil) != (ctx.Err() != nil) {
			t.Fatal(err)
		}
		var after []float32
		for _, p := range n.params {
			after = append(after, p.Data...)
		}
		if i := firstDifference(before, after); i >= 0 {
			t.Fatalf("value %d is %v after the queries, %v before", i, after[i], before[i])
		}
		cancel()
	}
	again, err := m.Evaluate(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Logits, pass.Clean().Logits) {
		t.Error("logits moved: a packed weight kept the noise")
	}
}

// TestSuffixIsForward: a suffix with vanishing noise gives the clean losses.
func TestSuffixIsForward(t *testing.T) {
	n, b := small(t, 6)
	for _, mask := range []bool{true, false} {
		m := NewModel(n, Options{Threads: 2, Loss: crossEntropy(t), Noise: source(t), Mask: mask})
		var sites []int
		for i := range n.sites {
			sites = append(sites, i)
		}
		pass, err := m.Clean(context.Background(), b, sites)
		if err != nil {
			t.Fatal(err)
		}
		for s := range sites {
			q := []forward.Query{{Image: 5, Sign: 1}, {Image: 1, Sign: -1}, {Image: 1, Pair: 1, Sign: 1}}
			out := make([]float32, 3)
			if err := pass.Losses(context.Background(), &forward.Perturbation{Sites: []int{s},
				Sigma: []float32{0}}, q, out); err != nil {
				t.Fatal(err)
			}
			for i, x := range q {
				if d := math.Abs(float64(out[i] - pass.Clean().Losses[x.Image])); d > 1e-5 {
					t.Errorf("mask %v, %s: loss of image %d is %g off", mask, n.sites[s].Name, x.Image, d)
				}
			}
		}
	}
}

// TestSteadyState: nothing allocates per query once the graphs are built.
func TestSteadyState(t *testing.T) {
	n, b := small(t, 8)
	m := NewModel(n, Options{Threads: 1, Loss: crossEntropy(t), Noise: source(t), Mask: true})
	ctx := context.Background()
	pass, err := m.Clean(ctx, b, []int{8})
	if err != nil {
		t.Fatal(err)
	}
	measure := func(queries int) float64 {
		q := make([]forward.Query, queries)
		for i := range q {
			q[i] = forward.Query{Image: int32(i * 8 / queries), Pair: int32(i), Sign: 1}
		}
		out := make([]float32, queries)
		p := &forward.Perturbation{Sites: []int{8}, Sigma: []float32{0.1}}
		return testkit.Allocations(t, 20, func() {
			if err := pass.Losses(ctx, p, q, out); err != nil {
				t.Fatal(err)
			}
		})
	}
	few, many := measure(64), measure(64*40)
	if many > few+8 {
		t.Errorf("%v allocations for 64 queries, %v for 2560", few, many)
	}
}

func ExampleNet_ForwardFLOPs() {
	w, err := NewWeights(Arch{Image: 32, Patch: 4, Chans: 3, Hidden: 128, Layers: 6, Heads: 4, MLP: 512, Classes: 5})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.0f MFLOP\n", float64(NewNet(w).ForwardFLOPs())/1e6)
	// Output: 144 MFLOP
}
