package allocator

import (
	"fmt"
	"math"
)

// check finds signals whose lengths differ, which are mistakes of the caller.
func (s *Signals) check() error {
	b := len(s.Losses)
	for _, f := range []struct {
		name string
		n    int
	}{{"IDs", len(s.IDs)}, {"surprises", len(s.Surprise)}} {
		if f.n != 0 && f.n != b {
			return fmt.Errorf("allocator: %d losses with %d %s", b, f.n, f.name)
		}
	}
	if s.Dim < 0 || len(s.Features) != 0 && len(s.Features) != b*s.Dim {
		return fmt.Errorf("allocator: %d features for %d images of %d each", len(s.Features), b, s.Dim)
	}
	return nil
}

// finite widens a signal to float64: NaN becomes the mean of the finite values,
// +Inf the largest and -Inf the smallest of them; with none, all are 0.
func finite(v []float32) []float64 {
	var sum, n float64
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, x := range v {
		if f := float64(x); !math.IsNaN(f) && !math.IsInf(f, 0) {
			sum, n = sum+f, n+1
			lo, hi = min(lo, f), max(hi, f)
		}
	}
	out := make([]float64, len(v))
	if n == 0 {
		return out
	}
	for i, x := range v {
		switch f := float64(x); {
		case math.IsNaN(f):
			out[i] = sum / n
		case math.IsInf(f, 1):
			out[i] = hi
		case math.IsInf(f, -1):
			out[i] = lo
		default:
			out[i] = f
		}
	}
	return out
}

// standardise returns values with mean 0 and mean square 1, or all 0 where they
// do not vary beyond the rounding errors of their mean.
func standardise(v []float64) []float64 {
	n := float64(len(v))
	var mean, sq float64
	for _, x := range v {
		mean += x / n
	}
	for _, x := range v {
		sq += (x - mean) * (x - mean) / n
	}
	out := make([]float64, len(v))
	if std := math.Sqrt(sq); std > 1e-7*math.Abs(mean) {
		for i, x := range v {
			out[i] = (x - mean) / std
		}
	}
	return out
}
