package alloc

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/noise"
)

func TestRound(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name   string
		shares []float64
		budget int
		least  int
		even   bool
		want   []int
	}{
		{"largest remainder", []float64{47000, 16000, 15800, 12000, 6100, 3100}, 10, 0, false, []int{4, 2, 1, 1, 1,
			1}}, // Hamilton, with at least 1
		{"ties to the lower index", []float64{1, 1, 1}, 4, 1, false, []int{2, 1, 1}},
		{"pairs", []float64{3, 1}, 8, 2, true, []int{6, 2}},
		{"odd least with pairs", []float64{3, 1}, 16, 3, true, []int{12, 4}},
		{"least count leaves the rest in proportion", []float64{0, 1, 3}, 20, 4, false, []int{4, 4, 12}},
		{"one image", []float64{0}, 7, 2, false, []int{7}},
		{"NaN and negative count as 0", []float64{nan, -5, 1, 1}, 12, 1, false, []int{1, 1, 5, 5}},
		{"infinite takes all", []float64{inf, 1, inf, 0}, 12, 1, false, []int{5, 1, 5, 1}},
		{"all zero", []float64{0, 0}, 6, 1, false, []int{3, 3}},
		{"all NaN", []float64{nan, nan}, 6, 1, false, []int{3, 3}},
		{"huge", []float64{1e308, 1e308}, 6, 1, false, []int{3, 3}},
		{"tiny", []float64{5e-324, 5e-324}, 6, 1, false, []int{3, 3}},
	} {
		got, err := Round(c.shares, c.budget, Limits{c.least, c.even})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestRoundRefuses(t *testing.T) {
	for name, f := range map[string]func() ([]int, error){
		"no image":           func() ([]int, error) { return Round(nil, 4, Limits{1, false}) },
		"budget below least": func() ([]int, error) { return Round(make([]float64, 4), 7, Limits{2, false}) },
		"pairs need more":    func() ([]int, error) { return Round(make([]float64, 4), 6, Limits{1, true}) },
		"odd":                func() ([]int, error) { return Round(make([]float64, 2), 7, Limits{2, true}) },
		"negative":           func() ([]int, error) { return Round(make([]float64, 2), -4, Limits{0, false}) },
		"overflowing least": func() ([]int, error) {
			return Round(make([]float64, 4), 100, Limits{math.MaxInt / 2,
				false})
		},
	} {
		n, err := f()
		var e *BudgetError
		if !errors.As(err, &e) {
			t.Errorf("%s: %v, %v, want a BudgetError", name, n, err)
		}
	}
}

// The counts of Neyman's shares reach the closed form (Σ√V)²/(B ΣV) as the
// budget grows; rounding n_i by at most 1 costs at most (1/n_i)² relatively, so
// 1e-4 at a mean of 1000 queries and a smallest of some 30.
func TestNeymanOptimum(t *testing.T) {
	g := noise.Rand(1, noise.Test)
	const B = 64
	V, root := make([]float64, B), make([]float64, B)
	var sum, sumRoot float64
	for i := range V {
		root[i] = math.Exp(0.8 * g.Normal())
		V[i] = root[i] * root[i]
		sum, sumRoot = sum+V[i], sumRoot+root[i]
	}
	want := sumRoot * sumRoot / (B * sum)
	n, err := Round(root, 1000*B, Limits{2, true})
	if err != nil {
		t.Fatal(err)
	}
	if got := Ratio(V, n); math.Abs(got/want-1) > 1e-3 || got < want*(1-1e-12) {
		t.Errorf("ratio %v, closed form %v", got, want)
	}
}

// Under a least count no exchange of one query between two images may gain more
// than its rounding: the counts before rounding are the constrained optimum.
func TestLeastCountOptimal(t *testing.T) {
	g := noise.Rand(2, noise.Test)
	const B, budget, low = 12, 1200, 40.0
	root := make([]float64, B)
	for i := range root {
		root[i] = math.Exp(1.5 * g.Normal())
	}
	cost := func(n []float64) (c float64) {
		for i, v := range n {
			c += root[i] * root[i] / v
		}
		return c
	}
	n := fill(clean(root), budget, low)
	best := cost(n)
	for i := range n {
		for j := range n {
			for _, d := range []float64{1e-3, 1} {
				if n[i]-d < low || i == j {
					continue
				}
				m := slices.Clone(n)
				m[i], m[j] = m[i]-d, m[j]+d
				if cost(m) < best*(1-1e-12) {
					t.Errorf("%v queries from %d to %d gain %v", d, i, j, 1-cost(m)/best)
				}
			}
		}
	}
}

func TestRatio(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		v    []float64
		n    []int
		want float64
	}{
		{[]float64{1, 9}, []int{2, 6}, (1.0/2 + 9.0/6) / (10.0 / 4)},
		{[]float64{3, 3}, []int{4, 4}, 1},
		{nil, nil, 1},
		{[]float64{0, 0}, []int{1, 3}, 1},
		{[]float64{nan, 2, inf, -1}, []int{2, 2, 2, 2}, 1},
		{[]float64{1e308, 1e308}, []int{1, 3}, (1 + 1.0/3) / 1},
	} {
		if got := Ratio(c.v, c.n); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v %v: %v, want %v", c.v, c.n, got, c.want)
		}
	}
}

func FuzzRound(f *testing.F) {
	f.Add(uint64(1), uint16(3), uint16(40), uint8(2), true)
	f.Add(uint64(2), uint16(64), uint16(512), uint8(0), false)
	f.Fuzz(func(t *testing.T, seed uint64, images, budget uint16, least uint8, even bool) {
		g := noise.Rand(seed, noise.Test)
		shares := make([]float64, images%300)
		for i := range shares {
			shares[i] = math.Float64frombits(g.Uint64())
		}
		n, err := Round(shares, int(budget), Limits{int(least), even})
		if err != nil {
			var e *BudgetError
			if !errors.As(err, &e) {
				t.Fatal(err)
			}
			return
		}
		invariants(t, n, len(shares), int(budget), int(least), even)
		for i := range shares {
			for j := range shares {
				// Largest remainder keeps the order up to one unit.
				if shares[i] > shares[j] && n[i]+2 < n[j] {
					t.Fatalf("share %v got %d, share %v got %d", shares[i], n[i], shares[j], n[j])
				}
			}
		}
	})
}

// invariants are what every allocation keeps.
func invariants(t *testing.T, n []int, images, budget, least int, even bool) {
	t.Helper()
	sum := 0
	for _, v := range n {
		sum += v
		if v < max(1, least) || even && v%2 != 0 {
			t.Fatalf("counts %v with least %d, even %v", n, least, even)
		}
	}
	if len(n) != images || sum != budget {
		t.Fatalf("%d counts of sum %d for %d images and a budget of %d", len(n), sum, images, budget)
	}
}
