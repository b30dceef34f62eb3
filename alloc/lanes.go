package alloc

import "github.com/flops-vit/flops/noise"

// lanes are how many vectors the loops of this file take at once. A sum waits for the
// one before it, so that those of several vectors take hardly longer than one's; each
// keeps its own order, and so its bits.
const lanes = 8

// lane is one element of each of so many vectors.
type lane [lanes]float64

// add adds Σ_k row_k x_k.
func (s *lane) add(row []float64, x []lane) {
	x = x[:len(row)]
	s0, s1, s2, s3, s4, s5, s6, s7 := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
	for k, v := range row {
		y := &x[k]
		s0 += v * y[0]
		s1 += v * y[1]
		s2 += v * y[2]
		s3 += v * y[3]
		s4 += v * y[4]
		s5 += v * y[5]
		s6 += v * y[6]
		s7 += v * y[7]
	}
	*s = lane{s0, s1, s2, s3, s4, s5, s6, s7}
}

// take takes Σ_k row_k x_k away.
func (s *lane) take(row []float64, x []lane) {
	x = x[:len(row)]
	s0, s1, s2, s3, s4, s5, s6, s7 := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
	for k, v := range row {
		y := &x[k]
		s0 -= v * y[0]
		s1 -= v * y[1]
		s2 -= v * y[2]
		s3 -= v * y[3]
		s4 -= v * y[4]
		s5 -= v * y[5]
		s6 -= v * y[6]
		s7 -= v * y[7]
	}
	*s = lane{s0, s1, s2, s3, s4, s5, s6, s7}
}

// spread takes row_k x away from every b_k.
func spread(b []lane, row []float64, x lane) {
	b = b[:len(row)]
	for k, v := range row {
		y := &b[k]
		y[0] -= v * x[0]
		y[1] -= v * x[1]
		y[2] -= v * x[2]
		y[3] -= v * x[3]
		y[4] -= v * x[4]
		y[5] -= v * x[5]
		y[6] -= v * x[6]
		y[7] -= v * x[7]
	}
}

// over divides by v.
func (s *lane) over(v float64) {
	for k := range s {
		s[k] /= v
	}
}

// drawLanes is draw of so many vectors, which take from the generator one after the
// other; z is workspace.
func drawLanes(a, z []lane, mu, l []float64, r *noise.Generator) {
	n := len(mu)
	for k := range lanes {
		for i := range n {
			z[i][k] = r.Normal()
		}
	}
	for i := range n {
		m := mu[i]
		a[i] = lane{m, m, m, m, m, m, m, m}
		a[i].add(l[i*n:i*n+i+1], z)
	}
}

// solveLanes is solve of so many vectors, of which the first from elements are 0.
func solveLanes(l []float64, n, from int, b []lane) {
	for i := from; i < n; i++ {
		row := l[i*n : i*n+i+1]
		if i > from {
			b[i].take(row[from:i], b[from:])
		}
		b[i].over(row[i])
	}
	for i := n - 1; i >= 0; i-- {
		row := l[i*n : i*n+i+1]
		b[i].over(row[i])
		spread(b, row[:i], b[i])
	}
}

// inverse is (L·Lᵀ)⁻¹.
func inverse(l []float64, n int) []float64 {
	out, col := make([]float64, n*n), make([]lane, n)
	for lo := 0; lo < n; lo += lanes {
		clear(col)
		some := min(lanes, n-lo)
		for k := range some {
			col[lo+k][k] = 1
		}
		solveLanes(l, n, lo, col)
		for i := range n {
			copy(out[i*n+lo:i*n+lo+some], col[i][:])
		}
	}
	return out
}

// scores is the gradient of log N(a; μ, Σ) by each parameter, of so many vectors, which
// it overwrites.
func (z *scorer) scores(a []lane) (grad [4]lane) {
	n := len(z.s)
	for i := range a {
		for k := range a[i] {
			a[i][k] -= z.mu[i]
		}
	}
	solveLanes(z.l, n, 0, a)
	for i := range a {
		for k, v := range a[i] {
			grad[0][k] += v
		}
	}
	grad[1].add(z.s, a)
	for t, m := range z.by {
		var quad lane
		for i := range a { // twice the lower triangle: Σ_θ is symmetric
			var row lane
			row.add(m[i*n:i*n+i], a)
			for k, v := range a[i] {
				quad[k] += v * (2*row[k] + m[i*n+i]*v)
			}
		}
		for k := range quad {
			grad[2+t][k] = (quad[k] - z.trace[t]) / 2
		}
	}
	return grad
}
