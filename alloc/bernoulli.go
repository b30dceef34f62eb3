package allocator

import "github.com/flops-vit/flops/noise"

func init() {
	Register("bernoulli", func(o Options) (Allocator, error) { return &bernoulli{o: o}, nil })
}

// The chances of the released code that an image below the mean is halved.
const (
	halveFirst = 0.3 // in the first epoch, number 0
	halveLater = 0.01
)

// bernoulli is the released code's simple variant: images below the mean loss
// get half a share, each with the chance above.
type bernoulli struct {
	stateless
	o Options
}

func (b *bernoulli) Name() string { return "bernoulli" }

func (b *bernoulli) Allocate(s Signals, budget int) ([]int, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	p := halveLater
	if s.Epoch <= 0 {
		p = halveFirst
	}
	losses := finite(s.Losses)
	var mean float64
	for _, l := range losses {
		mean += l / float64(len(losses))
	}
	g := noise.Rand(s.Seed, noise.Alloc, uint32(s.Step))
	shares := make([]float64, len(losses))
	for i, l := range losses {
		shares[i] = 1
		// Every image draws, so that one image's loss is not another's luck.
		if halve := g.Float64() < p; halve && l < mean {
			shares[i] = 0.5
		}
	}
	return Round(shares, budget, b.o.MinQueries, b.o.Even)
}
