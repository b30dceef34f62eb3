package alloc

import "math"

// check finds signals whose lengths differ, which are mistakes of the caller.
func (s *Signals) check() error {
	b := len(s.Losses)
	for _, f := range []struct {
		name       string
		have, want int
	}{{"IDs", len(s.IDs), b}, {"Surprise", len(s.Surprise), b}, {"Features", len(s.Features), b * max(0, s.Dim)}} {
		if f.have != 0 && f.have != f.want {
			return &SignalError{f.name, f.have, f.want}
		}
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

// Surprise is ‖softmax(z) − onehot(label)‖ of each row z of logits (items×classes,
// row-major): the norm of the cross-entropy's gradient by the logits, from 0 to √2,
// which costs no query. It has one row for each label; labels beyond the classes
// count as none, so that the norm is that of the softmax alone.
func Surprise(logits []float32, classes int, labels []int32) []float32 {
	out := make([]float32, len(labels))
	for i := range out {
		z := logits[i*classes : (i+1)*classes]
		top := z[0]
		for _, v := range z {
			top = max(top, v)
		}
		var sum float64
		for _, v := range z {
			sum += math.Exp(float64(v - top))
		}
		var sq float64
		for k, v := range z {
			p := math.Exp(float64(v-top)) / sum
			if k == int(labels[i]) {
				p--
			}
			sq += p * p
		}
		out[i] = float32(math.Sqrt(sq))
	}
	return out
}

// Variance is V̂_i up to a common factor: the mean square of each item's
// coefficients, (ℓ₊−ℓ₋)/2σ of a pair or (ℓ−ℓ_clean)/σ of a single direction, which
// is NaN where an item has none. It is right where the items' directions are as long
// as each other; at the output of a linear map with the input x_i it wants the
// factor ‖x_i‖² besides.
func Variance(coefficients [][]float64) []float64 {
	out := make([]float64, len(coefficients))
	for i, cs := range coefficients {
		for _, c := range cs {
			out[i] += c * c
		}
		out[i] /= float64(len(cs))
	}
	return out
}
