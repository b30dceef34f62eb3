package vit

import (
	"context"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
)

// Answer is a clean pass of n images before it has numbers; loss is nil where
// none is wanted.
func (n *Net) Answer(images int, loss *objective.Bound) *forward.Clean {
	k, d := n.Arch.Outputs(), n.Features().Width
	c := &forward.Clean{Logits: make([]float32, images*k), Classes: k, Features: make([]float32, images*d), Dim: d}
	if loss != nil {
		c.Losses, c.Loss = make([]float32, images), loss.Objective
	}
	return c
}

// Evaluate is the forward of a batch: losses, logits and features.
func (m *Model) Evaluate(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	loss, err := m.bind(b)
	if err != nil {
		return nil, err
	}
	images, err := m.lay(Layout{Images: b.Size})
	if err != nil {
		return nil, err
	}
	c := m.net.Answer(b.Size, loss)
	return c, m.forward(ctx, b, loss, c, &Forward{Features: true}, images)
}

// forward evaluates a batch, so many images at a time, and writes what c has room
// for. A gradient that f asks for is that of the mean loss.
func (m *Model) forward(ctx context.Context, b *forward.Batch, loss *objective.Bound, c *forward.Clean, f *Forward,
	images int) error {
	for lo := 0; lo < b.Size; lo += images {
		n := min(images, b.Size-lo)
		if m.shown = nil; n == b.Size {
			m.shown = b
		}
		m.b.Show(b, lo, n)
		q, coef := m.images(n, 1/float32(b.Size))
		l := &List{Queries: q, Loss: loss, Logits: c.Logits[lo*c.Classes : (lo+n)*c.Classes],
			Features: c.Features[lo*c.Dim : (lo+n)*c.Dim]}
		if loss != nil {
			l.Targets = loss.Targets[lo : lo+n]
		}
		if c.Losses != nil {
			l.Losses = c.Losses[lo : lo+n]
		}
		if len(f.Params) > 0 {
			l.Coef = coef
		}
		if err := m.ask(ctx, l, f); err != nil {
			return err
		}
	}
	return nil
}

// Backward adds the gradient of the batch's mean loss to every trained
// parameter, by Gorgonia's differentiation of the same graph. Where the losses
// depend on one another, a forward before it fixes the outputs that they are
// compared with.
func (m *Model) Backward(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	loss, err := m.labelled(b)
	if err != nil {
		return nil, err
	}
	images, err := m.lay(Layout{Images: b.Size, Gradient: true})
	if err != nil {
		return nil, err
	}
	c := m.net.Answer(b.Size, loss)
	losses := c.Losses
	if loss.Coupled() {
		if err := m.forward(ctx, b, loss, c, &Forward{Features: true}, images); err != nil {
			return nil, err
		}
		if err := loss.Anchor(losses, c.Logits, c.Classes); err != nil {
			return nil, err
		}
		c.Losses = nil // a micro-batch's own, against the anchor, are those already
	}
	f := &Forward{Features: true, Split: true, Params: m.trained()}
	err = m.collect(f.Params, m.forward(ctx, b, loss, c, f, images))
	c.Losses = losses
	return c, err
}

// trained lists the parameters of the network that have a gradient; an objective's
// own are differentiated by whoever trains them.
func (m *Model) trained() []int {
	return m.where(func(p *forward.Param) bool { return p.Grad != nil && p.Role != "temperature" })
}

// collect adds the sums of parameters to their gradients, or drops them after a
// failure.
func (m *Model) collect(params []int, failed error) error {
	if failed != nil {
		params = nil
	}
	if err := m.b.Collect(params); failed == nil {
		failed = err
	}
	return failed
}
