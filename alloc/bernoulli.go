package alloc

import "github.com/flops-vit/flops/noise"

// The chances of the released code that an item below the mean is halved.
const (
	halveFirst = 0.3 // in the first epoch, number 0
	halveLater = 0.01
)

// Bernoulli is the simple variant of the code that the authors of the paper
// published: an item below the mean loss gets half a share with a chance of 0.3 in
// epoch 0 and of 0.01 later.
type Bernoulli struct {
	stateless
	limits Limits
}

// NewBernoulli makes one.
func NewBernoulli(l Limits) *Bernoulli { return &Bernoulli{limits: l} }

// Name implements Allocator.
func (b *Bernoulli) Name() string { return "bernoulli" }

// Allocate implements Allocator.
func (b *Bernoulli) Allocate(s Signals, budget int) ([]int, error) {
	return rounded(b, s, budget, b.limits)
}

// Shares implements Shared.
func (b *Bernoulli) Shares(s Signals) ([]float64, error) {
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
		// Every item draws, so that one item's loss is not another's luck.
		if halve := g.Float64() < p; halve && l < mean {
			shares[i] = 0.5
		}
	}
	return shares, nil
}
