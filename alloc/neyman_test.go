package alloc

import (
	"math"
	"slices"
	"testing"
)

// With every image visited some thirty times, histories bring the ratio near
// the optimum of the true variances, past what the signals alone can show.
func TestNeymanLearns(t *testing.T) {
	w := newWorld(1)
	a := build(t, "neyman", usual())
	first := w.run(t, a, 1, 5)
	w.run(t, a, 5, 200)
	late := w.run(t, a, 200, 240)
	t.Logf("optimum %.3f, first %.3f, late %.3f", w.optimum(), first, late)
	if late > w.optimum()*1.08 {
		t.Errorf("ratio %.3f, optimum %.3f", late, w.optimum())
	}
	if first > 0.9 {
		t.Errorf("ratio %.3f from the second step on: the signals alone should help", first)
	}
}

// A history is the exponential average of the ratios of an image's visits, each
// cut at ten, and rests on the queries of all of them: numbers done by hand.
func TestNeymanRemembers(t *testing.T) {
	n := bare(t, "neyman", usual()).(*Neyman)
	for _, v := range []struct{ ratio, queries, want, sum float64 }{
		{1000, 8, 10, 8}, {1, 4, 7.3, 12}, {0, 2, 5.11, 14}, {10, 2, 6.577, 16}, {11, 2, 7.6039, 18},
	} {
		n.remember(3, v.ratio, v.queries)
		if h := n.st.History[3]; math.Abs(h.Ratio-v.want) > 1e-12 || h.Queries != v.sum {
			t.Errorf("after a ratio of %v: %+v, want %v of %v queries", v.ratio, h, v.want, v.sum)
		}
	}
}

// A history of q queries weighs q/(q+8) against a ratio of 1: of two images with
// the same signals, one with ratio 4 after 8 queries has ½·4 + ½ = 2.5 times the
// share, after 24 queries ¾·4 + ¼ = 3.25 times.
func TestNeymanWeighsHistory(t *testing.T) {
	for queries, times := range map[float64]float64{8: 2.5, 24: 3.25, 0: 1} {
		n := &Neyman{o: NeymanOptions{Decay: 0.7},
			st: neymanState{History: map[int32]visit{4: {Ratio: 4, Queries: queries}}}}
		const budget = 100000
		counts, err := n.Allocate(Signals{IDs: []int32{4, 5}, Losses: []float32{1, 1}}, budget)
		if err != nil {
			t.Fatal(err)
		}
		if want := budget * times / (1 + times); math.Abs(float64(counts[0])-want) > 1 {
			t.Errorf("after %v queries: %d, want %.0f", queries, counts[0], want)
		}
	}
}

// Nothing of a step's queries may reach that step's own allocation, and what a
// step showed must change the next.
func TestNeymanLooksBackOnly(t *testing.T) {
	w := newWorld(4)
	s := w.batch(0)
	a := build(t, "neyman", usual())
	n, err := a.Allocate(s, worldBatch*20)
	if err != nil {
		t.Fatal(err)
	}
	v := make([]float64, worldBatch)
	for i := range v {
		v[i] = math.Exp(float64(i % 5))
	}
	a.Observe(Feedback{Step: 0, IDs: s.IDs, Counts: n, Variance: v})
	s.Step = 1
	m, err := a.Allocate(s, worldBatch*20)
	if err != nil || slices.Equal(n, m) {
		t.Errorf("what was observed changes nothing (%v)", err)
	}
	// Feedback of another step is no history.
	inner := a.(*Guard).Allocator
	before, _ := inner.State()
	a.Observe(Feedback{Step: 7, IDs: s.IDs, Counts: n, Variance: v})
	if after, _ := inner.State(); string(before) != string(after) {
		t.Error("feedback of a step that was not allocated is learned")
	}
}
