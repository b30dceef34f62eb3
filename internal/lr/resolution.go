package lr

import (
	"math"

	"github.com/flops-vit/flops/forward"
)

// Rounding is the distance of float32 numbers around a loss, and that around 1
// for smaller losses: these are differences of outputs of about that size.
func Rounding(loss float64) float64 {
	v := float32(max(1, math.Abs(loss)))
	return float64(math.Nextafter32(v, math.MaxFloat32) - v)
}

// Differences is the root mean square of the loss differences that a record's
// coefficients were made of: between the two queries of a pair, or between a
// query and the clean pass. Of layers it is that of the outputs, not of the losses.
func Differences(r forward.Record, antithetic bool) float64 {
	var sum float64
	n := 0
	add := func(d float64) { sum, n = sum+d*d, n+1 }
	scale := 1.0
	switch {
	case r.Joint(): // the coefficients are differences already
	case antithetic:
		scale = 2 * float64(r.Perturbation.Sigma[0])
	default:
		scale = float64(r.Perturbation.Sigma[0])
	}
	if r.PerDirection(antithetic) == 2 {
		for j := 0; j+1 < len(r.Coefs); j += 2 {
			add(float64(r.Coefs[j]) - float64(r.Coefs[j+1]))
		}
	} else {
		for _, c := range r.Coefs {
			add(float64(c) * scale)
		}
	}
	if n == 0 {
		return 0
	}
	return math.Sqrt(sum / float64(n))
}
