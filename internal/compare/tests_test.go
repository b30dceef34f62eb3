package compare

import (
	"math"
	"testing"
)

// TestHolm: against a worked example (p of 0.01, 0.04, 0.03, 0.005 become 0.03,
// 0.06, 0.06, 0.02), and of what is not there nothing is counted.
func TestHolm(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct{ p, want []float64 }{
		{[]float64{0.01, 0.04, 0.03, 0.005}, []float64{0.03, 0.06, 0.06, 0.02}},
		{[]float64{nan, 0.02, nan}, []float64{nan, 0.02, nan}},
		{[]float64{0.6, 0.9}, []float64{1, 1}},
		{nil, nil},
	} {
		got := holm(c.p)
		for i, w := range c.want {
			if math.Abs(got[i]-w) > 1e-12 || math.IsNaN(got[i]) != math.IsNaN(w) {
				t.Errorf("%v becomes %v, want %v", c.p, got, c.want)
			}
		}
	}
}

// TestPairedP: R's t.test(c(0.1, 0.2, 0.15, 0.05, 0.12)) has t = 4.9, p = 0.008.
func TestPairedP(t *testing.T) {
	d := []float64{0.1, 0.2, 0.15, 0.05, 0.12}
	// mean 0.124, sd 0.0559464, t = 4.95602 with 4 degrees of freedom
	tt := 0.124 / (0.05594640292279746 / math.Sqrt(5))
	// the distribution function of t with 4 degrees of freedom in closed form
	x := tt / math.Sqrt(tt*tt+4)
	want := 1 - (x + x*(1-x*x)/2)
	if got := pairedP(d); math.Abs(got-want) > 1e-9 {
		t.Errorf("p %v, want %v", got, want)
	}
	for _, c := range []struct {
		d    []float64
		want float64
	}{{[]float64{0, 0}, 1}, {[]float64{1, 1}, 0}} {
		if got := pairedP(c.d); got != c.want {
			t.Errorf("%v: %v", c.d, got)
		}
	}
	if !math.IsNaN(pairedP([]float64{1})) {
		t.Error("one seed has a probability")
	}
}

// TestCurrencies: each arm is looked at where the cheapest one's cost ends.
func TestCurrencies(t *testing.T) {
	run := func(points ...Point) []Result {
		last := points[len(points)-1]
		return []Result{{Steps: last.Step, Queries: last.Queries, FLOPs: int64(last.Step) * 10, Seconds: last.Seconds,
			Curve: points}}
	}
	arms := []Arm{{Name: "a", Match: MatchQueries}, {Name: "b", Match: MatchQueries}, {Name: "bp", Match: MatchFLOPs}}
	got := Currencies(Summarise(arms, [][]Result{
		run(Point{1, 100, 0.1, 3, 5}, Point{2, 200, 0.2, 2, 10}),
		run(Point{1, 50, 0.3, 2.5, 1}, Point{2, 100, 0.4, 2.1, 2}, Point{4, 200, 0.5, 2, 4}),
		run(Point{1, 10, 0.6, 1, 3}, Point{3, 30, 0.7, 0.5, 9}),
	}))
	nan := math.NaN()
	for i, want := range []struct {
		name     string
		limit    float64
		accuracy []float64
	}{
		{"queries", 200, []float64{0.2, 0.5, nan}},
		{"operations", 20, []float64{0.2, 0.4, 0.6}},
		{"seconds", 4, []float64{nan, 0.5, 0.6}},
	} {
		c := got[i]
		if c.Name != want.name || c.Limit != want.limit {
			t.Errorf("%s: %+v", want.name, c)
		}
		for k, w := range want.accuracy {
			if a := c.Accuracy[k].Value; a != w && !(math.IsNaN(a) && math.IsNaN(w)) {
				t.Errorf("%s, arm %d: %v, want %v", want.name, k, a, w)
			}
		}
	}
}
