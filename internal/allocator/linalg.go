package allocator

import (
	"math"
	"sort"
)

// cholesky factors the symmetric n×n matrix a as L·Lᵀ, adding jitter to the
// diagonal, ten times more at each try, until it is positive definite. It
// returns L (lower triangle, row-major) and the jitter that was needed.
func cholesky(a []float64, n int, jitter float64) ([]float64, float64) {
	l := make([]float64, n*n)
	for ; ; jitter *= 10 {
		if factor(l, a, n, jitter) || jitter > 1e12 {
			return l, jitter
		}
	}
}

func factor(l, a []float64, n int, jitter float64) bool {
	for i := range n {
		for j := 0; j <= i; j++ {
			s := a[i*n+j]
			if i == j {
				s += jitter
			}
			for k := range j {
				s -= l[i*n+k] * l[j*n+k]
			}
			switch {
			case i != j:
				l[i*n+j] = s / l[j*n+j]
			case s > 0 && !math.IsInf(s, 1):
				l[i*n+i] = math.Sqrt(s)
			default:
				return false
			}
		}
	}
	return true
}

// solve overwrites b with (L·Lᵀ)⁻¹ b.
func solve(l []float64, n int, b []float64) {
	for i := range n {
		for k := range i {
			b[i] -= l[i*n+k] * b[k]
		}
		b[i] /= l[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			b[i] -= l[k*n+i] * b[k]
		}
		b[i] /= l[i*n+i]
	}
}

// inverse is (L·Lᵀ)⁻¹.
func inverse(l []float64, n int) []float64 {
	out := make([]float64, n*n)
	col := make([]float64, n)
	for j := range n {
		clear(col)
		col[j] = 1
		solve(l, n, col)
		for i := range n {
			out[i*n+j] = col[i]
		}
	}
	return out
}

// standardise returns values with mean 0 and deviation 1; values that are no
// numbers count as the mean, and all are 0 where they are equal.
func standardise(v []float32) []float64 {
	out := make([]float64, len(v))
	var n, sum, sq float64
	ok := func(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }
	for _, x := range v {
		if ok(x) {
			n, sum = n+1, sum+float64(x)
		}
	}
	if n == 0 {
		return out
	}
	mean := sum / n
	for _, x := range v {
		if ok(x) {
			sq += (float64(x) - mean) * (float64(x) - mean)
		}
	}
	std := math.Sqrt(sq / n)
	if !(std > 1e-12*math.Abs(mean)) {
		return out
	}
	for i, x := range v {
		if ok(x) {
			out[i] = (float64(x) - mean) / std
		}
	}
	return out
}

// distances are the squared distances between rows of features, in units of
// their median, so that a length scale has no dimension. They are 0 where
// features are no numbers.
func distances(f []float64, n, dim int) []float64 {
	d := make([]float64, n*n)
	var off []float64
	for i := range n {
		for j := range i {
			var s float64
			for k := range dim {
				v := f[i*dim+k] - f[j*dim+k]
				s += v * v
			}
			if math.IsNaN(s) || math.IsInf(s, 0) {
				s = 0
			}
			d[i*n+j], d[j*n+i] = s, s
			off = append(off, s)
		}
	}
	if len(off) == 0 {
		return d
	}
	sort.Float64s(off)
	if med := off[len(off)/2]; med > 0 {
		for i := range d {
			d[i] /= med
		}
	}
	return d
}
