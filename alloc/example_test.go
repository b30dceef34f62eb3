package alloc_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/flops-vit/flops/alloc"
)

// Three numbers are each known only through noisy measurements, the third with
// ten times the deviation of the first. A loop of one's own measures them over
// and over; the allocator learns which of them needs the measurements.
func Example() {
	deviation := []float64{1, 2, 10}
	rng := rand.New(rand.NewPCG(1, 2))

	a, err := alloc.NewNeyman(alloc.NeymanOptions{Limits: alloc.Limits{Least: 2}, Decay: 0.7})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := alloc.Signals{IDs: []int32{0, 1, 2}, Losses: []float32{1, 1, 1}}
	var counts []int
	for s.Step = range 50 {
		if counts, err = a.Allocate(s, 30); err != nil {
			fmt.Println(err)
			return
		}
		seen := alloc.Feedback{Step: s.Step, IDs: s.IDs, Counts: counts}
		for i, n := range counts {
			var v float64 // the mean square of this round's measurements
			for range n {
				x := deviation[i] * rng.NormFloat64()
				v += x * x / float64(n)
			}
			seen.Variance = append(seen.Variance, v)
		}
		a.Observe(seen)
	}
	fmt.Println("most measurements go to number", argmax(counts))
	fmt.Printf("the sum's variance is below 0.7 of equal shares: %v\n", alloc.Ratio([]float64{1, 4, 100}, counts) < 0.7)
	// Output:
	// most measurements go to number 2
	// the sum's variance is below 0.7 of equal shares: true
}

// A budget of 20 queries goes in pairs to three items whose contributions have the
// standard deviations 1, 2 and 5; each gets at least one pair.
func ExampleRound() {
	deviation := []float64{1, 2, 5}
	counts, err := alloc.Round(deviation, 20, alloc.Limits{Least: 2, Even: true})
	fmt.Println(counts, err)
	fmt.Printf("%.2f of the variance at equal shares\n", alloc.Ratio([]float64{1, 4, 25}, counts))
	// Output:
	// [2 6 12] <nil>
	// 0.72 of the variance at equal shares
}

// An allocator of one's own is shares and Round; a guard watches what it gains, and
// goes back to equal shares where that is nothing.
func ExampleGuard() {
	o := alloc.GuardOptions{Window: 2, Fallback: true, Warn: func(a alloc.Alarm) { fmt.Println(a) }}
	g, err := alloc.NewGuard(againstTheGrain{alloc.NewUniform(alloc.Limits{})}, o)
	if err != nil {
		fmt.Println(err)
		return
	}
	for step := range 3 {
		counts, err := g.Allocate(alloc.Signals{Step: step, Losses: []float32{1, 3}}, 8)
		if err != nil {
			fmt.Println(err)
			return
		}
		g.Observe(alloc.Feedback{Step: step, Counts: counts, Variance: []float64{1, 9}})
	}
	// Output: step 2: uniform gained nothing over the last 2 steps (-28.0%)
}

// againstTheGrain gives the item with the smaller loss more.
type againstTheGrain struct{ alloc.Allocator }

func (againstTheGrain) Allocate(alloc.Signals, int) ([]int, error) { return []int{5, 3}, nil }

func argmax(v []int) (best int) {
	for i := range v {
		if v[i] > v[best] {
			best = i
		}
	}
	return best
}
