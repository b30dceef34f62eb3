package forward

import "testing"

// TestSome: rows are drawn beside the first of a layer's output alone, and where that
// leaves some out.
func TestSome(t *testing.T) {
	for _, c := range []struct {
		share float64
		x     Layer
		want  int
	}{
		{0.5, Layer{Outs: 5, Reads: 1, Some: true}, 2},
		{0.3, Layer{Outs: 5, Reads: 1, Some: true}, 2},
		{0.9, Layer{Outs: 5, Reads: 1, Some: true}, 0},
		{0.5, Layer{Outs: 5, Reads: 1}, 0},
		{0.5, Layer{Outs: 5, Reads: 1, First: 1, Some: true}, 0},
		{0.5, Layer{Outs: 5, Reads: 4, First: 1, Some: true}, 0},
		{0, Layer{Outs: 5, Reads: 1, Some: true}, 0},
	} {
		l := &local{o: LocalOptions{Rows: c.share}, layers: []Layer{c.x}}
		if n := l.some(0); n != c.want {
			t.Errorf("%v of %+v: %d rows, want %d", c.share, c.x, n, c.want)
		}
	}
}

// TestGathered: what the noise of rows is to a Jacobian has the variance of one row's, and
// what is spread to the rows is its transpose.
func TestGathered(t *testing.T) {
	x := Layer{Width: 2, Reads: 4, Runs: []int{1, 4}}
	eps, u := []float32{1, 2, 3, 4, 5, 6, 7, 8}, []float32{0.5, -1, 2, 3}
	got, at := x.gathered(eps, make([]float32, x.wide())), make([]float32, x.noise())
	x.spread(at, 1, u)
	if a, b := dot(got, u), dot(eps, at); a-b > 1e-5 || b-a > 1e-5 {
		t.Errorf("⟨Dε, u⟩ %v, ⟨ε, Dᵀu⟩ %v", a, b)
	}
	var sq float32
	for k := range eps {
		one := make([]float32, len(eps))
		one[k] = 1
		d := x.gathered(one, make([]float32, x.wide()))
		sq += d[3] * d[3]
	}
	if sq < 0.9999 || sq > 1.0001 {
		t.Errorf("noise of rows has the variance %v in a run", sq)
	}
}
