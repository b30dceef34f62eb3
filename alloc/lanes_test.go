package alloc

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/noise"
)

// plainFactor is the Cholesky factor row by row, one number after the other.
func plainFactor(a []float64, n int, jitter float64) []float64 {
	l := make([]float64, n*n)
	for i := range n {
		for j := range i + 1 {
			s := a[i*n+j]
			if i == j {
				s += jitter
			}
			for k := range j {
				s -= l[i*n+k] * l[j*n+k]
			}
			if i == j {
				l[i*n+i] = math.Sqrt(s)
			} else {
				l[i*n+j] = s / l[j*n+j]
			}
		}
	}
	return l
}

// plainScore is the gradient of log N(a; μ, Σ) of one vector, with the inverse column
// by column.
func plainScore(z *scorer, a []float64) (grad [4]float64) {
	n := len(a)
	var trace [2]float64
	inv := make([]float64, n*n)
	for j := range n {
		col := make([]float64, n)
		col[j] = 1
		solve(z.l, n, col)
		for i, v := range col {
			inv[i*n+j] = v
		}
	}
	alpha := make([]float64, n)
	for i := range n {
		alpha[i] = a[i] - z.mu[i]
	}
	solve(z.l, n, alpha)
	for i, v := range alpha {
		grad[0] += v
		grad[1] += v * z.s[i]
	}
	for t, m := range z.by {
		var quad float64
		for i, v := range alpha {
			var row float64
			for j := range i {
				row += m[i*n+j] * alpha[j]
			}
			quad += v * (2*row + m[i*n+i]*v)
			for j := range n {
				trace[t] += inv[i*n+j] * m[j*n+i]
			}
		}
		grad[2+t] = (quad - trace[t]) / 2
	}
	return grad
}

// TestLanesKeepTheBits: what is computed of several vectors at once has the bits that
// each has alone, so that a run that is replayed shares as it did.
func TestLanesKeepTheBits(t *testing.T) {
	g := noise.Rand(6, noise.Test)
	for _, n := range []int{1, 2, 7, 8, 9, 31, 64} {
		losses := make([]float64, n)
		for i := range losses {
			losses[i] = math.Abs(g.Normal())
		}
		s := standardise(losses)
		d, w := distances(s, n, 1), [4]float64{1, 0.3, 0.1 + 0.1*g.Float64(), 0.5 + g.Float64()}
		c := covariance(w, d, n)
		l, j := cholesky(c, n, jitter(w))
		if !slices.Equal(l, plainFactor(c, n, j)) {
			t.Fatalf("%d items: the factor has other bits", n)
		}
		z := newScorer(w, s, d, c, l)
		a := make([]lane, n)
		drawLanes(a, make([]lane, n), z.mu, l, noise.Rand(3, noise.Test, uint32(n)))
		one, got := noise.Rand(3, noise.Test, uint32(n)), z.scores(slices.Clone(a))
		for k := range lanes {
			x := draw(z.mu, l, one)
			want := plainScore(z, x)
			for i, v := range x {
				if a[i][k] != v {
					t.Fatalf("%d items: element %d of draw %d is %v, alone %v", n, i, k, a[i][k], v)
				}
			}
			for i, v := range want {
				if got[i][k] != v {
					t.Fatalf("%d items: %s of draw %d is %v, alone %v", n, names[i], k, got[i][k], v)
				}
			}
		}
	}
}

// TestNth is that of the sorted numbers, of which many may be the same.
func TestNth(t *testing.T) {
	g := noise.Rand(7, noise.Test)
	for _, n := range []int{1, 2, 3, 10, 101, 1000} {
		for _, few := range []float64{3, 1e9} {
			v := make([]float64, n)
			for i := range v {
				v[i] = math.Floor(few * g.Float64())
			}
			sorted := slices.Sorted(slices.Values(v))
			for _, place := range []int{0, n / 2, n - 1} {
				if got := nth(slices.Clone(v), place); got != sorted[place] {
					t.Errorf("number %d of %d is %v, want %v", place, n, got, sorted[place])
				}
			}
		}
	}
}

// BenchmarkGaussian is a step of the allocator: shares, and learning.
func BenchmarkGaussian(b *testing.B) {
	for _, n := range []int{64, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g, err := NewGaussian(GaussianOptions{Limits: Limits{Least: 2, Even: true}})
			if err != nil {
				b.Fatal(err)
			}
			r := noise.Rand(2, noise.Test)
			s := Signals{Losses: make([]float32, n), Seed: 1}
			f := Feedback{Variance: make([]float64, n)}
			for i := range n {
				s.Losses[i], f.Variance[i] = float32(math.Abs(r.Normal())), math.Abs(r.Normal())
			}
			for b.Loop() {
				s.Step, f.Step = s.Step+1, s.Step+1
				if f.Counts, err = g.Allocate(s, 8*n); err != nil {
					b.Fatal(err)
				}
				g.Observe(f)
			}
		})
	}
}
