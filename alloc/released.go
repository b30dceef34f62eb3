package alloc

import (
	"math"

	"github.com/flops-vit/flops/noise"
)

// Released is what the paper's published code does in place of its allocator:
// scores from N(M·losses, K), with M a random matrix (entries uniform within
// ±1/√B, as a fresh linear layer has, fixed by the seed) that nothing trains,
// and K the RBF kernel of the losses with unit length scale and variance. It is
// here with unbiased weights, so that a comparison is about allocation alone.
type Released struct {
	stateless
	limits Limits
}

// NewReleased makes one.
func NewReleased(l Limits) *Released { return &Released{limits: l} }

// Name implements Allocator.
func (r *Released) Name() string { return "gaussian_released" }

// Allocate implements Allocator.
func (r *Released) Allocate(s Signals, budget int) ([]int, error) {
	return rounded(r, s, budget, r.limits)
}

// Shares implements Shared.
func (r *Released) Shares(s Signals) ([]float64, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	B := len(s.Losses)
	mu, k := scoresOf(finite(s.Losses), s.Seed)
	l, _ := cholesky(k, B, 1e-6)
	return draw(mu, l, noise.Rand(s.Seed, noise.Alloc, uint32(s.Step))), nil
}

// scoresOf are the mean M·loss (B) and the covariance K (B×B) of the scores.
func scoresOf(loss []float64, seed uint64) (mu, k []float64) {
	B := len(loss)
	m := noise.Rand(seed, noise.Alloc, math.MaxUint32) // a counter that no step has
	bound := 1 / math.Sqrt(float64(max(1, B)))
	mu, k = make([]float64, B), make([]float64, B*B)
	for i := range B {
		for j := range B {
			mu[i] += (2*m.Float64() - 1) * bound * loss[j]
			d := loss[i] - loss[j]
			k[i*B+j] = math.Exp(-d * d / 2)
		}
	}
	return mu, k
}
