// Package spd solves small systems of symmetric positive definite matrices.
package spd

import "math"

// Cholesky factors the symmetric n×n matrix a as L·Lᵀ, adding jitter to the
// diagonal, ten times more at each try, until it is positive definite. It
// returns L (lower triangle, row-major) and the jitter that was needed.
func Cholesky(a []float64, n int, jitter float64) ([]float64, float64) {
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

// Solve overwrites b with (L·Lᵀ)⁻¹ b. Both passes walk along rows of L.
func Solve(l []float64, n int, b []float64) {
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

// Inverse is (L·Lᵀ)⁻¹.
func Inverse(l []float64, n int) []float64 {
	out := make([]float64, n*n)
	col := make([]float64, n)
	for j := range n {
		clear(col)
		col[j] = 1
		Solve(l, n, col)
		for i := range n {
			out[i*n+j] = col[i]
		}
	}
	return out
}
