package vit

import (
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/noise"
)

// layered is a network of so many blocks, all of it trained, a batch that fills no
// micro-batch, and its clean pass.
func layered(t *testing.T, layers, threads int) (*Model, *forward.Batch, []int, *pass) {
	t.Helper()
	return layeredOf(t, Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 16, Layers: layers, Heads: 2, MLP: 24, Classes: 3,
		Eps: 1e-6}, threads)
}

// layeredOf is layered of any family over such images.
func layeredOf(t *testing.T, a Architecture, threads int) (*Model, *forward.Batch, []int, *pass) {
	t.Helper()
	w := drawn(t, a, 7, 5)
	w.trainAll(nil)
	m := NewModel(NewNet(w), Options{Threads: threads, Noise: source(t), Loss: crossEntropy(t), Mask: true})
	const n = 21
	b := &forward.Batch{Size: n, Inputs: make([]float32, n*3*64), Labels: make([]int32, n)}
	g := noise.Rand(5, noise.Test)
	for i := range b.Inputs {
		b.Inputs[i] = float32(g.Normal())
	}
	for i := range b.Labels {
		b.Labels[i] = int32(i % 3)
	}
	var sites []int
	for i, s := range m.Sites() {
		if s.Kind == Residual {
			sites = append(sites, i)
		}
	}
	p, err := m.Clean(t.Context(), b, sites)
	if err != nil {
		t.Fatal(err)
	}
	return m, b, sites, p.(*pass)
}

// gradients copies and clears those of a model.
func gradients(m *Model) (out [][]float32) {
	for _, p := range m.Params() {
		out = append(out, append([]float32(nil), p.Grad...))
		clear(p.Grad)
	}
	return out
}

// TestLayersAreBackpropagation: handed the derivative of the loss by the row that is
// read of the last block's output, the layers of a network of two blocks give every
// parameter what backpropagation gives it, since all that goes to the first one's
// other rows goes through the second one's attention; for any number of workers.
func TestLayersAreBackpropagation(t *testing.T) {
	for _, threads := range []int{1, 3} {
		m, b, sites, p := layered(t, 2, threads)
		if len(sites) != 2 {
			t.Fatalf("%d blocks' outputs", len(sites))
		}
		h := m.net.out.boundaries[1]
		at := make([]float32, b.Size*h.Width)
		q, coef := m.images(b.Size, 1/float32(b.Size))
		l := &List{Queries: q, Coef: coef, Loss: p.loss, Targets: p.loss.Targets, Below: at}
		if err := m.ask(t.Context(), l, &Forward{From: 2, Below: true}); err != nil {
			t.Fatal(err)
		}
		first, _ := m.Layer(sites[0])
		second, ok := m.Layer(sites[1])
		if !ok || second.Rows != 5 || first.Rows != 0 {
			t.Fatalf("layers %+v, %+v", first, second)
		}
		below := make([]float32, b.Size*second.Rows*first.Width)
		if err := p.AccumulateLayer(t.Context(), sites[1], forward.LayerGradient{At: at}, second.Params, below); err != nil {
			t.Fatal(err)
		}
		var cls []float32
		for i := range b.Size {
			cls = append(cls, below[i*second.Rows*first.Width:][:first.Width]...)
		}
		if err := p.AccumulateLayer(t.Context(), sites[0],
			forward.LayerGradient{At: cls, Rest: below}, first.Params, nil); err != nil {
			t.Fatal(err)
		}
		if err := p.AccumulateTop(t.Context(), m.Top(), nil); err != nil {
			t.Fatal(err)
		}
		got := gradients(m)
		if _, err := m.Backward(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for i, want := range gradients(m) {
			var off, size float64
			for k, w := range want {
				off, size = off+math.Pow(float64(got[i][k]-w), 2), size+float64(w)*float64(w)
			}
			if off > 1e-9*size || size == 0 {
				t.Errorf("%d workers, %s: relative error %.2g", threads, m.Params()[i].Name, math.Sqrt(off/size))
			}
		}
	}
}

// TestRowAlone: a gradient at the rows read alone, and one at all rows with zeros beside
// them, are the same, where the first row is read and where the mean of those after it is.
func TestRowAlone(t *testing.T) {
	a := Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 16, Layers: 3, Heads: 2, MLP: 24, Classes: 3, Eps: 1e-6}
	mean := Timm(a, false)
	mean.Pool, mean.FinalNorm, mean.PooledNorm = PoolMean, false, true
	for name, of := range map[string]Architecture{"cls": a, "mean": mean} {
		m, b, sites, p := layeredOf(t, of, 2)
		l, _ := m.Layer(sites[1])
		if first := map[string]int{"cls": 0, "mean": 1}[name]; l.First != first {
			t.Fatalf("%s: rows are read from %d on", name, l.First)
		}
		at := make([]float32, b.Size*l.Reads*l.Width)
		g := noise.Rand(9, noise.Test)
		for i := range at {
			at[i] = float32(g.Normal())
		}
		if err := p.AccumulateLayer(t.Context(), sites[1], forward.LayerGradient{At: at}, l.Params, nil); err != nil {
			t.Fatal(err)
		}
		got := gradients(m)
		zeros := make([]float32, b.Size*5*l.Width)
		all := forward.LayerGradient{At: at, Rest: zeros}
		if err := p.AccumulateLayer(t.Context(), sites[1], all, l.Params, nil); err != nil {
			t.Fatal(err)
		}
		for i, want := range gradients(m) {
			for k, w := range want {
				if math.Abs(float64(got[i][k]-w)) > 1e-4*(1+math.Abs(float64(w))) {
					t.Fatalf("%s, %s[%d]: %v, with rows of zeros %v", name, m.Params()[i].Name, k, got[i][k], w)
				}
			}
		}
		if l.RowFLOPs >= l.AllFLOPs && name == "cls" {
			t.Errorf("the row alone costs %d of %d operations", l.RowFLOPs, l.AllFLOPs)
		}
	}
}

// TestDrawnRows: a gradient at some rows, in any order, is that at all with zeros in
// the others; a row of 0 is none.
func TestDrawnRows(t *testing.T) {
	m, b, sites, p := layered(t, 3, 2)
	for _, site := range sites[:2] {
		l, _ := m.Layer(site)
		g := noise.Rand(9, noise.Test)
		at, all := make([]float32, b.Size*l.Width), make([]float32, b.Size*l.Outs*l.Width)
		var some []float32
		var rows []int32
		for i := range at {
			at[i] = float32(g.Normal())
		}
		for i := range b.Size {
			for _, r := range []int{1 + i%4, 0, 1 + (i+2)%4} {
				rows = append(rows, int32(r))
				for k := range l.Width {
					v := float32(g.Normal())
					if r == 0 {
						v = 0
					}
					some, all[(i*l.Outs+r)*l.Width+k] = append(some, v), v
				}
			}
		}
		var below [2][]float32
		if l.Rows > 0 {
			below = [2][]float32{make([]float32, b.Size*l.Rows*l.Width), make([]float32, b.Size*l.Rows*l.Width)}
		}
		drawn := forward.LayerGradient{At: at, Rest: some, Rows: rows}
		if err := p.AccumulateLayer(t.Context(), site, drawn, l.Params, below[0]); err != nil {
			t.Fatal(err)
		}
		got := gradients(m)
		whole := forward.LayerGradient{At: at, Rest: all}
		if err := p.AccumulateLayer(t.Context(), site, whole, l.Params, below[1]); err != nil {
			t.Fatal(err)
		}
		for k, w := range below[1] {
			if math.Abs(float64(below[0][k]-w)) > 1e-5*(1+math.Abs(float64(w))) {
				t.Fatalf("below, %d: %v, with rows of zeros %v", k, below[0][k], w)
			}
		}
		for i, want := range gradients(m) {
			for k, w := range want {
				if math.Abs(float64(got[i][k]-w)) > 1e-4*(1+math.Abs(float64(w))) {
					t.Fatalf("%s[%d]: %v, with rows of zeros %v", m.Params()[i].Name, k, got[i][k], w)
				}
			}
		}
	}
}

// TestOneArena: the graphs of a worker stand in the same memory, also those that were
// built before a larger one.
func TestOneArena(t *testing.T) {
	m, b, _, _ := layered(t, 2, 1)
	if _, err := m.Backward(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Evaluate(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	w := m.b.(*cpu).workers[0]
	if len(w.programs) < 2 {
		t.Fatalf("%d graphs", len(w.programs))
	}
	for key, p := range w.programs {
		if &p.m.arena[0] != &w.arena[0] {
			t.Errorf("%s has an arena of its own", key)
		}
	}
}

// TestSpares: layer after layer the weights that derivatives go through are packed in the
// memory of one layer's, and what they give stays the same.
func TestSpares(t *testing.T) {
	m, b, sites, p := layered(t, 3, 2)
	at := make([]float32, b.Size*16)
	for i := range at {
		at[i] = float32(i%7) - 3
	}
	var first [][]float32
	for range 2 {
		for _, site := range []int{sites[2], sites[1], sites[0]} {
			l, _ := m.Layer(site)
			if err := p.AccumulateLayer(t.Context(), site, forward.LayerGradient{At: at}, l.Params, nil); err != nil {
				t.Fatal(err)
			}
		}
		held := 0
		for _, x := range m.net.spare.held {
			held += len(x)
		}
		for i, l := range m.net.linears {
			if l != nil && l.backward.made {
				t.Errorf("%s keeps what its derivative needed", m.net.sites[i].Name)
			}
		}
		if held == 0 || held > 6 {
			t.Errorf("%d packed weights are kept for maps of three layers", held)
		}
		if got := gradients(m); first == nil {
			first = got
		} else if !slices.EqualFunc(first, got, slices.Equal) {
			t.Error("gradients are others in memory that was used before")
		}
	}
}

// TestAbove: what is added to the row read of the last block's output changes the outputs
// as that noise there does in a query, and the pass is as it was.
func TestAbove(t *testing.T) {
	m, b, sites, p := layered(t, 2, 2)
	last := sites[len(sites)-1]
	width, classes := m.Sites()[last].Out, 3
	var q []forward.Query
	var items []int32
	add := make([]float32, 5*width)
	for k := range 5 {
		items = append(items, int32(4*k))
		q = append(q, forward.Query{Image: int32(4 * k), Pair: int32(k), Sign: 1})
		at := noise.Counter{Step: 7, Site: uint32(last), Image: uint32(4 * k), Pair: uint32(k)}
		m.noise.AddScaled(add[k*width:(k+1)*width], add[k*width:(k+1)*width], 0.5, at, 0)
	}
	noisy := &forward.Perturbation{Kind: forward.Layers, Step: 7, Sites: []int{last}, Sigma: []float32{0.5}}
	var want [2][]float32
	for i := range want {
		want[i] = make([]float32, 5*classes)
		if err := p.Outputs(t.Context(), noisy, q, make([]float32, 5), want[i]); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			break
		}
		got := make([]float32, 5*classes)
		if err := p.Above(t.Context(), items, add, got); err != nil {
			t.Fatal(err)
		}
		for k, w := range want[0] {
			if math.Abs(float64(got[k]-w)) > 1e-5 {
				t.Errorf("output %d: %v, of a query %v", k, got[k], w)
			}
			if clean := p.clean.Logits[4*(k/3)*3+k%3]; math.Abs(float64(w-clean)) < 1e-6 {
				t.Errorf("output %d: the noise changes nothing", k)
			}
		}
	}
	if !slices.Equal(want[0], want[1]) || b.Size != p.batch.Size {
		t.Error("a query is answered otherwise after Above")
	}
}
