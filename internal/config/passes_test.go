package config

import "testing"

// TestQueriesAt: over a whole run as many queries are asked as without budget.early, more
// at first and fewer in the end, in whole directions and never none.
func TestQueriesAt(t *testing.T) {
	for _, antithetic := range []bool{false, true} {
		for _, early := range []float64{0, 0.3, 1} {
			c := Default()
			c.Estimator.Antithetic, c.Budget.Early, c.Budget.QueriesPerImage = antithetic, early, 2
			c.Train.Steps, c.Train.BatchSize, c.Allocator.MinQueries = 101, 16, 1
			sum, before := 0, 1<<20
			for step := range c.Train.Steps {
				n := c.QueriesAt(step)
				if n > before || n < c.unit() || n%c.unit() != 0 {
					t.Fatalf("early %v: %d queries at step %d after %d", early, n, step, before)
				}
				sum, before = sum+n, n
			}
			if want := 32 * c.Train.Steps; sum < want-c.unit() || sum > want+2*c.unit() {
				t.Errorf("early %v, antithetic %v: %d queries of a run, %d without", early, antithetic, sum, want)
			}
			if first := c.QueriesAt(0); first != int(32*(1+early)+0.5)/c.unit()*c.unit() {
				t.Errorf("early %v: %d queries at first", early, first)
			}
		}
	}
}
