package alloc

import (
	"math"
	"testing"
)

// TestSignalsByHand: what becomes of signals before an allocator reads them.
func TestSignalsByHand(t *testing.T) {
	near := func(what string, got, want []float64) {
		t.Helper()
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-12 {
				t.Errorf("%s: %v, want %v", what, got, want)
				return
			}
		}
	}
	near("two values", standardise([]float64{1, 3}), []float64{-1, 1})
	near("three values", standardise([]float64{0, 0, 6}), []float64{-math.Sqrt2 / 2, -math.Sqrt2 / 2,
		math.Sqrt2}) // mean 2, mean square 8
	near("equal values", standardise([]float64{0.1, 0.1, 0.1}), []float64{0, 0, 0})
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	near("values that are none", finite([]float32{1, nan, 5, inf, 3, -inf}), []float64{1, 3, 5, 5, 3, 1})
	near("none at all", finite([]float32{nan, inf}), []float64{0, 0})
}

// TestAsked: V̂ rests on the queries that were asked, where those are not the
// allocator's own counts.
func TestAsked(t *testing.T) {
	own := Feedback{Counts: []int{4, 6}}
	others := Feedback{Counts: []int{4, 6}, Asked: []int{2, 8}}
	if own.asked(1) != 6 || others.asked(1) != 8 || others.asked(0) != 2 || own.asked(2) != 0 {
		t.Errorf("asked %v and %v", own.asked(1), others.asked(1))
	}
	// and the regression weighs an image by them
	share := func(asked []int) float64 {
		n := bare(t, "neyman", usual()).(*Neyman)
		s := Signals{IDs: []int32{0, 1}, Losses: []float32{1, 1}}
		if _, err := n.Allocate(s, 8); err != nil {
			t.Fatal(err)
		}
		n.Observe(Feedback{IDs: s.IDs, Counts: []int{4, 4}, Asked: asked, Variance: []float64{1, 9}})
		return n.st.Root
	}
	for _, c := range []struct {
		asked []int
		want  float64 // mean of 1 and 3 by those queries
	}{{nil, 2}, {[]int{4, 4}, 2}, {[]int{6, 2}, 1.5}, {[]int{2, 6}, 2.5}} {
		if got := share(c.asked); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("asked %v: mean √V̂ %v, want %v", c.asked, got, c.want)
		}
	}
}

// TestSurprise: numbers by hand. Logits (0, 0) have the softmax (½, ½), so that the
// distance from either one-hot is √½; (ln 3, 0) has (¾, ¼).
func TestSurprise(t *testing.T) {
	got := Surprise([]float32{0, 0, float32(math.Log(3)), 0, float32(math.Log(3)), 0, 1000, 0, 0, 1000}, 2,
		[]int32{1, 0, 1, 0, 7})
	for i, want := range []float64{math.Sqrt(0.5), math.Sqrt(2) / 4, math.Sqrt(2) * 3 / 4, 0, 1} {
		if math.Abs(float64(got[i])-want) > 1e-6 {
			t.Errorf("row %d: %v, want %v", i, got[i], want)
		}
	}
}

// TestVarianceOfCoefficients: the mean square of each item's, by hand.
func TestVarianceOfCoefficients(t *testing.T) {
	v := Variance([][]float64{{3, -4}, {2}, {}, {0, 0}})
	if v[0] != 12.5 || v[1] != 4 || !math.IsNaN(v[2]) || v[3] != 0 {
		t.Errorf("%v", v)
	}
}
