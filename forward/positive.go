package forward

import "math"

// positive is the lower triangle L of a symmetric positive definite matrix L·Lᵀ, n×n,
// row-major: S of a surrogate, damped.
type positive struct {
	l []float64
	n int
}

// factored is the matrix a, nil where it is not positive definite.
func factored(a []float64, n int) *positive {
	l := make([]float64, n*n)
	for i := range n {
		for j := range i + 1 {
			s := a[i*n+j]
			for k := range j {
				s -= l[i*n+k] * l[j*n+k]
			}
			switch {
			case i != j:
				l[i*n+j] = s / l[j*n+j]
			case s > 0 && !math.IsInf(s, 1):
				l[i*n+i] = math.Sqrt(s)
			default:
				return nil
			}
		}
	}
	return &positive{l, n}
}

// mostLeverage is the largest eᵀS⁻¹e that an image teaches with, in units of its mean,
// the number of outputs. Where nearly all images are right, a wrong one is far beyond,
// and would throw over what the others taught.
const mostLeverage = 2

// weigh is the weight of an image's e in what is learned: 1, or what brings its leverage
// to the most there is.
func (p *positive) weigh(e []float32) float64 {
	var sq float64
	y := make([]float64, p.n)
	for i, v := range e { // L y = e
		s := float64(v)
		for k := range i {
			s -= p.l[i*p.n+k] * y[k]
		}
		y[i] = s / p.l[i*p.n+i]
		sq += y[i] * y[i]
	}
	return min(1, mostLeverage*float64(p.n)/max(sq, 1e-30))
}

// solve overwrites the columns of b, n×w, with the inverse times them.
func (p *positive) solve(b []float64, w int) {
	less := func(i, k int, by float64) {
		for c, v := range b[k*w : (k+1)*w] {
			b[i*w+c] -= by * v
		}
	}
	over := func(i int) {
		for c := range w {
			b[i*w+c] /= p.l[i*p.n+i]
		}
	}
	for i := range p.n {
		for k := range i {
			less(i, k, p.l[i*p.n+k])
		}
		over(i)
	}
	for i := p.n - 1; i >= 0; i-- {
		over(i)
		for k := range i {
			less(k, i, p.l[i*p.n+k])
		}
	}
}
