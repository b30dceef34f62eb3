package forward

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/noise"
)

// TestPositive: what solve gives, multiplied by the matrix again, is the right-hand
// side; a matrix that is not positive definite has no factor.
func TestPositive(t *testing.T) {
	const n, w = 5, 3
	r := noise.Rand(9, noise.Test)
	root, a := make([]float64, n*n), make([]float64, n*n)
	for i := range root {
		root[i] = r.Normal()
	}
	for i := range n {
		for j := range n {
			for k := range n {
				a[i*n+j] += root[i*n+k] * root[j*n+k]
			}
		}
		a[i*n+i] += 0.1
	}
	b := make([]float64, n*w)
	for i := range b {
		b[i] = r.Normal()
	}
	x := append([]float64(nil), b...)
	factored(a, n).solve(x, w)
	for i := range n {
		for c := range w {
			var s float64
			for k := range n {
				s += a[i*n+k] * x[k*w+c]
			}
			if math.Abs(s-b[i*w+c]) > 1e-9 {
				t.Errorf("row %d, column %d: %v, want %v", i, c, s, b[i*w+c])
			}
		}
	}
	a[0] = -1
	if factored(a, n) != nil {
		t.Error("a matrix with a negative diagonal was factored")
	}
}
