package alloc

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

// solve overwrites b with (L·Lᵀ)⁻¹ b. Both passes walk along rows of L.
func solve(l []float64, n int, b []float64) {
	for i := range n {
		row := l[i*n : i*n+i+1]
		for k, v := range row[:i] {
			b[i] -= v * b[k]
		}
		b[i] /= row[i]
	}
	for i := n - 1; i >= 0; i-- {
		row := l[i*n : i*n+i+1]
		b[i] /= row[i]
		for k, v := range row[:i] {
			b[k] -= v * b[i]
		}
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

// distances are the squared distances between rows of features, in units of
// their median (of their mean where that is 0), so that a length scale has no
// dimension.
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
			d[i*n+j], d[j*n+i] = s, s
			off = append(off, s)
		}
	}
	if len(off) == 0 {
		return d
	}
	sort.Float64s(off)
	unit := off[len(off)/2]
	if unit == 0 { // most items are alike
		for _, v := range off {
			unit += v / float64(len(off))
		}
	}
	if unit > 0 {
		for i := range d {
			d[i] /= unit
		}
	}
	return d
}
