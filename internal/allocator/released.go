package allocator

import (
	"math"

	"github.com/flops-vit/flops/internal/noise"
)

func init() {
	Register("gaussian_released", func(o Options) (Allocator, error) { return &released{o: o}, nil })
}

// released is what the paper's published code does in place of its allocator:
// scores from N(M·losses, K), with M a random matrix (entries uniform within
// ±1/√B, as a fresh linear layer has, fixed by the seed) that nothing trains,
// and K the RBF kernel of the losses with unit length scale and variance. It is
// here with unbiased weights, so that a comparison is about allocation alone.
type released struct{ o Options }

func (r *released) Name() string { return "gaussian_released" }

func (r *released) Needs() Need { return Need{} }

func (r *released) Allocate(s Signals, budget int) ([]int, error) {
	B := len(s.Losses)
	loss := make([]float64, B)
	for i, l := range s.Losses {
		if v := float64(l); !math.IsNaN(v) && !math.IsInf(v, 0) {
			loss[i] = v
		}
	}
	m := noise.Rand(s.Seed, noise.Alloc, math.MaxUint32)
	bound := 1 / math.Sqrt(float64(max(1, B)))
	mu, k := make([]float64, B), make([]float64, B*B)
	for i := range B {
		for j := range B {
			mu[i] += (2*m.Float64() - 1) * bound * loss[j]
			d := loss[i] - loss[j]
			k[i*B+j] = math.Exp(-d * d / 2)
		}
	}
	l, _ := cholesky(k, B, 1e-6)
	return Round(draw(mu, l, noise.Rand(s.Seed, noise.Alloc, uint32(s.Step))), budget, r.o.MinQueries, r.o.Even)
}

func (r *released) Observe(Feedback) {}

func (r *released) State() ([]byte, error) { return nil, nil }

func (r *released) Restore([]byte) error { return nil }
