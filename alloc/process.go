package alloc

import (
	"math"

	"github.com/flops-vit/flops/noise"
)

// mean is μ_i = w₀ + w₁ s_i.
func mean(w [4]float64, s []float64) []float64 {
	mu := make([]float64, len(s))
	for i, v := range s {
		mu[i] = w[0] + w[1]*v
	}
	return mu
}

// covariance is Σ without its jitter, from the squared distances d (B×B).
func covariance(w [4]float64, d []float64) []float64 {
	c := make([]float64, len(d))
	for i, v := range d {
		c[i] = w[2] * w[2] * math.Exp(-v/(2*w[3]*w[3]))
	}
	return c
}

// nugget is the share of Σ's variance that is added to its diagonal.
const nugget = 0.01

// jitter keeps Σ positive definite.
func jitter(w [4]float64) float64 { return nugget*w[2]*w[2] + 1e-12 }

// draw samples N(mu, L·Lᵀ).
func draw(mu, l []float64, r *noise.Generator) []float64 {
	n := len(mu)
	z, a := make([]float64, n), make([]float64, n)
	for i := range z {
		z[i] = r.Normal()
		a[i] = mu[i]
		for k, v := range l[i*n : i*n+i+1] {
			a[i] += v * z[k]
		}
	}
	return a
}

// scorer computes the gradient of log N(a; μ, Σ) by w₀, w₁, log w₂ and log w₃:
// with α = Σ⁻¹(a − μ) and Σ_θ = ∂Σ/∂θ,
//
//	∂w₀ = 1ᵀα, ∂w₁ = sᵀα, ∂θ = ½(αᵀ Σ_θ α − tr Σ⁻¹Σ_θ).
type scorer struct {
	s, mu, l []float64
	by       [2][]float64 // Σ_θ for log w₂ and log w₃
	trace    [2]float64   // of Σ⁻¹Σ_θ
}

func newScorer(w [4]float64, s, d, l []float64) *scorer {
	n := len(s)
	z := &scorer{s: s, mu: mean(w, s), l: l, by: [2][]float64{make([]float64, n*n), make([]float64, n*n)}}
	for i, c := range covariance(w, d) {
		z.by[0][i] = 2 * c
		z.by[1][i] = c * d[i] / (w[3] * w[3])
	}
	for i := range n {
		z.by[0][i*n+i] += 2 * nugget * w[2] * w[2]
	}
	inv := inverse(l, n)
	for t, m := range z.by {
		for i := range n {
			for j := range n {
				z.trace[t] += inv[i*n+j] * m[j*n+i]
			}
		}
	}
	return z
}

func (z *scorer) score(a []float64) (grad [4]float64) {
	n := len(z.s)
	alpha := make([]float64, n)
	for i := range alpha {
		alpha[i] = a[i] - z.mu[i]
	}
	solve(z.l, n, alpha)
	for i, v := range alpha {
		grad[0] += v
		grad[1] += v * z.s[i]
	}
	for t, m := range z.by {
		var quad float64
		for i, v := range alpha { // twice the lower triangle: Σ_θ is symmetric
			var row float64
			for j, c := range m[i*n : i*n+i] {
				row += c * alpha[j]
			}
			quad += v * (2*row + m[i*n+i]*v)
		}
		grad[2+t] = (quad - z.trace[t]) / 2
	}
	return grad
}
