package principal

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/noise"
)

// TestDirections: the directions are orthonormal, hold what gonum's eigenvectors hold of
// the matrix, in their order, and are theirs where eigenvalues stand apart; a matrix of
// fewer dimensions than are asked for gives orthonormal ones all the same.
func TestDirections(t *testing.T) {
	for _, c := range []struct{ n, rows, k int }{{40, 90, 6}, {7, 20, 7}, {33, 3, 5}, {1, 4, 1}, {20, 0, 2}} {
		x := testkit.Fill(c.rows*c.n, 3)
		cov, sym := make([]float32, c.n*c.n), mat.NewSymDense(c.n, nil)
		for i := range c.n {
			for j := range c.n {
				var s float64
				for r := range c.rows {
					scale := 1 / float64(1+i+j) // eigenvalues apart
					s += scale * float64(x[r*c.n+i]) * float64(x[r*c.n+j])
				}
				if j >= i {
					cov[i*c.n+j], cov[j*c.n+i] = float32(s), float32(s)
				}
			}
		}
		for i := range c.n {
			for j := i; j < c.n; j++ {
				sym.SetSym(i, j, float64(cov[i*c.n+j]))
			}
		}
		var e mat.EigenSym
		if !e.Factorize(sym, true) {
			t.Fatal("gonum finds no eigenvectors")
		}
		values := e.Values(nil)
		got := Directions(cov, c.n, c.k)
		for i := range c.k {
			row := got[i*c.n:][:c.n]
			for j := range c.k {
				want := 0.0
				if i == j {
					want = 1
				}
				if d := dot(row, got[j*c.n:][:c.n]); math.Abs(d-want) > 1e-6 {
					t.Errorf("%v: ⟨%d, %d⟩ is %v", c, i, j, d)
				}
			}
			var held float64
			for a := range c.n {
				for b := range c.n {
					held += float64(row[a]) * sym.At(a, b) * float64(row[b])
				}
			}
			if want := values[c.n-1-i]; math.Abs(held-want) > 1e-3*values[c.n-1] {
				t.Errorf("%v: direction %d holds %v, gonum's eigenvalue %v", c, i, held, want)
			}
		}
	}
}

// TestSlowlyFalling: where eigenvalues stand close, four directions of forty hold nearly
// what any four can, and the first the most.
func TestSlowlyFalling(t *testing.T) {
	const n, k = 40, 4
	g := noise.Rand(2, noise.Test)
	q := make([]float32, n*n)
	for i := range q {
		q[i] = float32(g.Normal())
	}
	orthonormal(q, n, n, g)
	c, most := make([]float32, n*n), 0.0
	for e := range n {
		value := math.Pow(0.93, float64(e))
		if e < k {
			most += value
		}
		for i := range n {
			for j := range n {
				c[i*n+j] += float32(value) * q[e*n+i] * q[e*n+j]
			}
		}
	}
	got, sum, last := Directions(c, n, k), 0.0, 1.0
	for d := range k {
		var held, mixed float64
		row, other := got[d*n:][:n], got[(d+1)%k*n:][:n]
		for i := range n {
			held += float64(row[i]) * dot(row, c[i*n:][:n])
			mixed += float64(other[i]) * dot(row, c[i*n:][:n])
		}
		if math.Abs(mixed) > 1e-5 {
			t.Errorf("direction %d is no eigenvector among those found: %v", d, mixed)
		}
		if sum += held; held > last+1e-3 {
			t.Errorf("direction %d holds %v, the one before %v", d, held, last)
		}
		last = held
	}
	if sum < 0.995*most {
		t.Errorf("%d directions hold %v, others %v", k, sum, most)
	}
}
