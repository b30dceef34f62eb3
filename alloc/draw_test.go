package alloc

import (
	"errors"
	"math"
	"testing"

	"github.com/flops-vit/flops/noise"
)

// TestDraw: exactly the budget is drawn, in whole units; every item as often as its
// chance says, within 4.5 standard errors of a binomial (systematic drawing varies
// less); no chance is below the floor; and chances follow the shares between 0 and 1.
func TestDraw(t *testing.T) {
	const draws = 4000
	for _, c := range []struct {
		shares []float64
		budget int
		even   bool
		least  float64
	}{
		{[]float64{1, 1, 1, 1, 1, 1, 1, 1}, 3, false, 0.25},
		{[]float64{8, 4, 2, 1, 0.5, 0, 0, 1e9}, 4, false, 0.25},
		{[]float64{8, 4, 2, 1, 0.5, 0, math.NaN(), math.Inf(1)}, 6, true, 0.1},
		{[]float64{5, 1, 1}, 3, false, 1},
		{[]float64{0, 0, 3, 0}, 2, false, 0},
	} {
		unit := 1
		if c.even {
			unit = 2
		}
		B, n := len(c.shares), c.budget/unit
		times := make([]float64, B)
		var chance []float32
		for k := range draws {
			u := noise.Rand(3, noise.Test, uint32(k)).Float64()
			s, err := Draw(c.shares, c.budget, Limits{Even: c.even}, c.least, u)
			if err != nil {
				t.Fatal(err)
			}
			total := 0
			for i, v := range s.Counts {
				if v != 0 && v != unit {
					t.Fatalf("%v: an item got %d queries", c.shares, v)
				}
				total += v
				times[i] += float64(v / unit)
			}
			if total != c.budget {
				t.Fatalf("%v: %d queries of %d", c.shares, total, c.budget)
			}
			chance = s.Chance
		}
		var sum float64
		for i, p := range chance {
			p := float64(p)
			sum += p
			if p < c.least*float64(n)/float64(B)-1e-6 || p > 1+1e-6 {
				t.Errorf("%v: chance %v of item %d", c.shares, p, i)
			}
			if se := math.Sqrt(p * (1 - p) * draws); math.Abs(times[i]-draws*p) > 4.5*se+1 {
				t.Errorf("%v: item %d was drawn %v times, of a chance of %v %v", c.shares, i, times[i], p, draws*p)
			}
		}
		if math.Abs(sum-float64(n)) > 1e-5 {
			t.Errorf("%v: chances sum to %v, want %d", c.shares, sum, n)
		}
	}
	for _, budget := range []int{0, 9, -1} {
		_, err := Draw(make([]float64, 8), budget, Limits{}, 0.25, 0)
		var be *BudgetError
		if !errors.As(err, &be) {
			t.Errorf("budget %d: %v", budget, err)
		}
	}
}

// TestDrawFollows: between the floor and 1 chances are as the shares.
func TestDrawFollows(t *testing.T) {
	s, err := Draw([]float64{4, 2, 1, 1}, 1, Limits{}, 0.25, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float32{0.5, 0.25, 0.125, 0.125} {
		if math.Abs(float64(s.Chance[i]-want)) > 1e-6 {
			t.Errorf("item %d: chance %v, want %v", i, s.Chance[i], want)
		}
	}
}

// TestSharer: parts get queries as their variances and costs say, of a total that is
// exact (in queries) or never passed (in cost); images are drawn where there are fewer
// queries than images; and one restored in between goes on the same.
func TestSharer(t *testing.T) {
	const B = 8
	parts := []Part{{"a", 1}, {"b", 1}, {"c", 16}}
	seen := func(shares []Share) (out []Seen) {
		for k, p := range parts {
			v := make([]float64, B)
			for i := range v {
				v[i] = []float64{1, 100, 1}[k] * float64(i+1)
				if shares[k].Counts[i] == 0 {
					v[i] = math.NaN()
				}
			}
			out = append(out, Seen{p.Key, shares[k], v, 1})
		}
		return out
	}
	for _, scope := range []string{BySite, ByBoth} {
		for _, cost := range []bool{false, true} {
			for _, budget := range []int{16, 4} {
				o := SharerOptions{Scope: scope, Least: 0.25, ByCost: cost, Standardise: true,
					New: func() (Allocator, error) { return NewNeyman(NeymanOptions{Decay: 0.5}) }}
				s, err := NewSharer(o)
				if err != nil {
					t.Fatal(err)
				}
				for step := range 20 {
					if step == 10 {
						b, err := s.State()
						if err != nil {
							t.Fatal(err)
						}
						other, err := NewSharer(o)
						if err != nil {
							t.Fatal(err)
						}
						if err := other.Restore(b); err != nil {
							t.Fatal(err)
						}
						sig := Signals{Step: step, IDs: ids(B), Losses: make([]float32, B)}
						x, _ := s.Share(sig, parts, budget)
						y, _ := other.Share(sig, parts, budget)
						for k := range x {
							for i := range x[k].Counts {
								if x[k].Counts[i] != y[k].Counts[i] {
									t.Fatalf("%s: restored, part %d has %v, not %v", scope, k, y[k].Counts, x[k].Counts)
								}
							}
						}
						s = other
					}
					shares, err := s.Share(Signals{Step: step, IDs: ids(B), Losses: make([]float32, B)}, parts, budget)
					if err != nil {
						t.Fatal(err)
					}
					n, spent := make([]int, 3), 0.0
					for k, p := range parts {
						for i, c := range shares[k].Counts {
							n[k] += c
							if shares[k].Chance == nil && c == 0 {
								t.Fatalf("item %d has no query and no chance", i)
							}
						}
						spent += float64(n[k]) * p.Cost
					}
					if !cost && n[0]+n[1]+n[2] != 3*budget || cost && spent > 18*float64(budget) {
						t.Fatalf("%s, by cost %v: %v of %d each", scope, cost, n, budget)
					}
					if step > 5 && (n[1] <= n[0] || cost && n[2] > n[0]) {
						t.Errorf("%s, by cost %v, step %d: %v", scope, cost, step, n)
					}
					s.Observe(step, ids(B), seen(shares))
				}
			}
		}
	}
}

// TestSharerLeast: whatever the least of an item is, parts never have more queries than
// the budget in all, or more than it costs; every item has its least, if that is more than
// a direction, where equal shares have that; parts that cost nothing have their equal share.
func TestSharerLeast(t *testing.T) {
	const B = 4
	for _, c := range []struct {
		least, budget int
		even, byCost  bool
		cost          []float64
	}{{3, 12, false, false, nil}, {3, 16, false, false, nil}, {3, 3, false, false, nil}, {3, 4, false, false, nil},
		{4, 16, true, false, nil}, {4, 6, true, false, nil}, {3, 12, false, true, []float64{1, 4, 9}},
		{3, 3, false, true, []float64{1, 4, 9}}, {1, 8, false, true, []float64{0, 4, 9}},
		{1, 8, true, true, []float64{0, 0, 0}}, {2, 8, true, true, []float64{1e-9, 1e9, 0}}} {
		limits := Limits{Least: c.least, Even: c.even}
		s, err := NewSharer(SharerOptions{Limits: limits, Scope: ByBoth, ByCost: c.byCost,
			New: func() (Allocator, error) { return NewNeyman(NeymanOptions{Limits: limits, Decay: 0.5}) }})
		if err != nil {
			t.Fatal(err)
		}
		parts := []Part{{"a", 1}, {"b", 1}, {"c", 1}}
		for k, v := range c.cost {
			parts[k].Cost = v
		}
		for step := range 12 {
			shares, err := s.Share(Signals{Step: step, IDs: ids(B), Losses: make([]float32, B)}, parts, c.budget)
			if err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			var seen []Seen
			all, spent, equal := 0, 0.0, 0.0
			for k, p := range parts {
				n, v := 0, []float64{1, 1, 1, 1}
				for i, q := range shares[k].Counts {
					n += q
					v[i] *= []float64{1, 400, 1e4}[k]
					if q < c.least && c.least > 2 && c.budget >= B*c.least {
						t.Fatalf("%+v: an item has %d queries", c, q)
					}
				}
				if c.byCost && p.Cost == 0 && n != c.budget {
					t.Fatalf("%+v: a part that costs nothing has %d queries", c, n)
				}
				all, spent, equal = all+n, spent+float64(n)*p.Cost, equal+float64(c.budget)*p.Cost
				seen = append(seen, Seen{p.Key, shares[k], v, 1})
			}
			if c.byCost {
				least := s.Least(len(parts), B, c.budget)
				for _, most := range []int{least, (least + all) / 2, all, all + 5} {
					some, err := s.ShareAtMost(Signals{Step: step, IDs: ids(B), Losses: make([]float32, B)}, parts, c.budget, most)
					sum := 0
					for k := range parts {
						for i, n := range some[k].Counts {
							if sum += n; most >= all && n != shares[k].Counts[i] {
								t.Fatalf("%+v: %d queries at most change shares of %d", c, most, all)
							}
						}
					}
					if err != nil || sum > most || sum < most/2 {
						t.Fatalf("%+v: %d queries of at most %d, %v", c, sum, most, err)
					}
				}
			}
			if !c.byCost && all > 3*c.budget || c.byCost && spent > equal*(1+1e-12) {
				t.Fatalf("%+v: %d queries that cost %v of %v", c, all, spent, equal)
			}
			s.Observe(step, ids(B), seen)
		}
	}
}

func ids(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}
