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

// covariance is Σ without its jitter, from the squared distances d of n items.
func covariance(w [4]float64, d []float64, n int) []float64 {
	c := make([]float64, len(d))
	for i := range n {
		for j, v := range d[i*n : i*n+i+1] {
			v = w[2] * w[2] * math.Exp(-v/(2*w[3]*w[3]))
			c[i*n+j], c[j*n+i] = v, v
		}
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

func newScorer(w [4]float64, s, d, c, l []float64) *scorer {
	n := len(s)
	z := &scorer{s: s, mu: mean(w, s), l: l, by: [2][]float64{make([]float64, n*n), make([]float64, n*n)}}
	for i, c := range c {
		z.by[0][i] = 2 * c
		z.by[1][i] = c * d[i] / (w[3] * w[3])
	}
	for i := range n {
		z.by[0][i*n+i] += 2 * nugget * w[2] * w[2]
	}
	inv := inverse(l, n)
	for i, v := range inv { // Σ_θ is symmetric
		z.trace[0] += v * z.by[0][i]
		z.trace[1] += v * z.by[1][i]
	}
	return z
}
