package allocator

import "github.com/flops-vit/flops/internal/noise"

func init() {
	Register("bernoulli", func(o Options) (Allocator, error) { return &bernoulli{o: o}, nil })
}

// bernoulli is the released code's simple variant: images below the mean loss
// get half a share with probability 0.3 in the first epoch and 0.01 after.
type bernoulli struct{ o Options }

func (b *bernoulli) Name() string { return "bernoulli" }

func (b *bernoulli) Needs() Need { return Need{} }

func (b *bernoulli) Allocate(s Signals, budget int) ([]int, error) {
	p := 0.01
	if s.Epoch == 0 {
		p = 0.3
	}
	var mean float64
	for _, l := range s.Losses {
		mean += float64(l) / float64(len(s.Losses))
	}
	g := noise.Rand(s.Seed, noise.Alloc, uint32(s.Step))
	shares := make([]float64, len(s.Losses))
	for i, l := range s.Losses {
		shares[i] = 1
		if halve := g.Float64() < p; halve && float64(l) < mean {
			shares[i] = 0.5
		}
	}
	return Round(shares, budget, b.o.MinQueries, b.o.Even)
}

func (b *bernoulli) Observe(Feedback) {}

func (b *bernoulli) State() ([]byte, error) { return nil, nil }

func (b *bernoulli) Restore([]byte) error { return nil }
