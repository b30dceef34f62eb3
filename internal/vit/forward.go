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
		c.Losses, c.Loss, c.Targets = make([]float32, images), loss.Objective, loss.Targets
	}
	return c
}

// Evaluate is the forward of a batch: losses, logits and features.
func (m *Model) Evaluate(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	loss, err := m.bind(b)
	if err != nil {
		return nil, err
	}
	known := m.known(b, nil)
	images, err := m.lay(m.room(Layout{Images: b.Size}, known))
	if err != nil {
		return nil, err
	}
	c := m.net.Answer(b.Size, loss)
	return c, m.forward(ctx, b, loss, c, Forward{Features: true, Alone: true}, known, images)
}

// show has the backend begin with n images of a batch from lo on; with what is kept
// of them where a boundary is known.
func (m *Model) show(ctx context.Context, b *forward.Batch, lo, n, known int, keep bool) error {
	if known > 0 {
		return m.give(ctx, b, lo, n, known, keep)
	}
	if err := fill(b); err != nil {
		return err
	}
	if m.shown = nil; n == b.Size {
		m.shown = b
	}
	m.b.Show(b, lo, n)
	return nil
}

// forward evaluates a batch, so many images at a time and from the known boundary
// on, and writes what c has room for. A gradient that f asks for is that of the
// mean loss.
func (m *Model) forward(ctx context.Context, b *forward.Batch, loss *objective.Bound, c *forward.Clean, whole Forward,
	known, images int) error {
	f, keep := m.given(whole, known)
	for lo := 0; lo < b.Size; lo += images {
		n := min(images, b.Size-lo)
		if err := m.show(ctx, b, lo, n, known, keep); err != nil {
			return err
		}
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
		if err := m.ask(ctx, l, &f); err != nil {
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
	known := m.known(b, nil)
	images, err := m.lay(m.room(Layout{Images: b.Size, Gradient: true}, known))
	if err != nil {
		return nil, err
	}
	c := m.net.Answer(b.Size, loss)
	losses := c.Losses
	if loss.Coupled() {
		if err := m.forward(ctx, b, loss, c, Forward{Features: true}, known, images); err != nil {
			return nil, err
		}
		if err := loss.Anchor(losses, c.Logits, c.Classes); err != nil {
			return nil, err
		}
		c.Losses = nil // a micro-batch's own, against the anchor, are those already
	}
	f := Forward{Features: true, Split: true, Params: m.trained()}
	err = m.collect(f.Params, m.forward(ctx, b, loss, c, f, known, images))
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
