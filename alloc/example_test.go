package allocator_test

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

	a, err := allocator.New("neyman", allocator.Options{MinQueries: 2, Decay: 0.7})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := allocator.Signals{IDs: []int32{0, 1, 2}, Losses: []float32{1, 1, 1}}
	var counts []int
	for s.Step = range 50 {
		if counts, err = a.Allocate(s, 30); err != nil {
			fmt.Println(err)
			return
		}
		seen := allocator.Feedback{Step: s.Step, IDs: s.IDs, Counts: counts}
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
	fmt.Printf("the sum's variance is below 0.7 of equal shares: %v\n", allocator.PredictedRatio([]float64{1, 4, 100}, counts) < 0.7)
	// Output:
	// most measurements go to number 2
	// the sum's variance is below 0.7 of equal shares: true
}

func argmax(v []int) (best int) {
	for i := range v {
		if v[i] > v[best] {
			best = i
		}
	}
	return best
}
