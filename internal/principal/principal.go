// Package principal finds the directions in which numbers vary most: the leading
// eigenvectors of a symmetric matrix without negative eigenvalues, such as XᵀX of rows X
// or W Wᵀ of a weight, whose eigenvectors are W's left singular vectors.
//
// Orthogonal iteration on k directions and some more, Rutishauser's (Simultaneous
// iteration method for symmetric matrices, Numerische Mathematik 16, 1970), from a start
// that a counter draws (Halko, Martinsson and Tropp, SIAM Review 53, 2011): products in
// float32 by package kernel, so that the bits are those of its kernel for whatever number
// of workers, everything else in float64. What is asked for is a subspace that holds
// nearly all that k directions can hold; directions whose eigenvalues are nearly alike
// may be mixed.
package principal

import (
	"math"
	"slices"

	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/noise"
)

const (
	rounds = 16 // of the iteration
	more   = 8  // directions that are followed besides those asked for
)

// Directions are k orthonormal rows of n numbers, the leading eigenvectors of c, n×n and
// symmetric, the largest eigenvalue first; the largest number of each is positive. k is at
// most n. Where c is of less than k dimensions the rest are orthonormal all the same.
func Directions(c []float32, n, k int) []float32 {
	m := min(n, k+more)
	v, next := make([]float32, m*n), make([]float32, m*n)
	g := noise.Rand(0, noise.Init, 1<<21, uint32(n))
	for i := range v {
		v[i] = float32(g.Normal())
	}
	orthonormal(v, m, n, g)
	var packed kernel.Packed
	var scratch kernel.Scratch
	packed.PackNT(c, n, n, n)
	times := func() { kernel.Gemm(next, n, v, n, m, &packed, &kernel.Epilogue{}, &scratch) }
	for range rounds {
		times()
		v, next = next, v
		orthonormal(v, m, n, g)
	}
	times()
	small := make([]float64, m*m) // V C Vᵀ
	for i := range m {
		for j := range i + 1 {
			s := dot(v[i*n:][:n], next[j*n:][:n])
			small[i*m+j], small[j*m+i] = s, s
		}
	}
	turned, order := eigen(small, m)
	out := make([]float32, k*n)
	for i, e := range order[:k] {
		row := make([]float64, n)
		for j := range m {
			add(row, turned[j*m+e], v[j*n:][:n])
		}
		signed(out[i*n:][:n], row)
	}
	orthonormal(out, k, n, g)
	return out
}

// orthonormal makes rows so, by Gram and Schmidt, twice; a row of which nothing is left
// is drawn anew.
func orthonormal(v []float32, rows, n int, g *noise.Generator) {
	x := make([]float64, n)
	for i := 0; i < rows; {
		at := v[i*n:][:n]
		for j, a := range at {
			x[j] = float64(a)
		}
		before := length(x)
		for range 2 {
			for k := range i {
				var s float64
				for j, a := range v[k*n:][:n] {
					s += float64(float64(a) * x[j])
				}
				add(x, -s, v[k*n:][:n])
			}
		}
		size := length(x)
		if !(size > 1e-6*before) || !(before > 0) {
			for j := range at {
				at[j] = float32(g.Normal())
			}
			continue
		}
		for j := range at {
			at[j] = float32(x[j] / size)
		}
		i++
	}
}

// The products are rounded before they are added, so that no processor fuses them.

func dot(a, b []float32) (s float64) {
	for i, x := range a {
		s += float64(float64(x) * float64(b[i]))
	}
	return s
}

func add(x []float64, by float64, v []float32) {
	for i, a := range v {
		x[i] += float64(by * float64(a))
	}
}

func length(x []float64) float64 {
	var s float64
	for _, v := range x {
		s += float64(v * v)
	}
	return math.Sqrt(s)
}

// signed writes a row with its largest number positive.
func signed(out []float32, row []float64) {
	top := 0.0
	for _, v := range row {
		if math.Abs(v) > math.Abs(top) {
			top = v
		}
	}
	for i, v := range row {
		out[i] = float32(math.Copysign(1, top) * v)
	}
}

// eigen are the eigenvectors of a symmetric matrix, in columns, and their order, the
// largest eigenvalue first: Jacobi's method, sweep by sweep. It uses a up.
func eigen(a []float64, n int) (v []float64, order []int) {
	v = make([]float64, n*n)
	for i := range n {
		v[i*n+i] = 1
		order = append(order, i)
	}
	for range 30 {
		var off, all float64
		for i := range n {
			for j := range n {
				all += float64(a[i*n+j] * a[i*n+j])
				if i != j {
					off += float64(a[i*n+j] * a[i*n+j])
				}
			}
		}
		if off <= 1e-22*all {
			break
		}
		for p := range n {
			for q := p + 1; q < n; q++ {
				rotate(a, v, n, p, q)
			}
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch x, y := a[i*n+i], a[j*n+j]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return v, order
}

// rotate makes a[p,q] 0 by a rotation of these two, which v takes along.
func rotate(a, v []float64, n, p, q int) {
	x := a[p*n+q]
	if x == 0 {
		return
	}
	theta := (a[q*n+q] - a[p*n+p]) / (2 * x)
	t := math.Copysign(1, theta) / (math.Abs(theta) + math.Sqrt(float64(theta*theta)+1))
	c := 1 / math.Sqrt(float64(t*t)+1)
	s := t * c
	turn := func(x []float64, i, j int) {
		y, z := x[i], x[j]
		x[i], x[j] = float64(c*y)-float64(s*z), float64(s*y)+float64(c*z)
	}
	for k := range n {
		turn(a, k*n+p, k*n+q)
	}
	for k := range n {
		turn(a, p*n+k, q*n+k)
	}
	for k := range n {
		turn(v, k*n+p, k*n+q)
	}
}
