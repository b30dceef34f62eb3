package cuda

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/vit"
)

// pass is the clean pass of a batch, whose activations the device holds until the
// next.
type pass struct {
	m     *Model
	batch *query.Batch
	loss  *objective.Bound
	clean *query.Clean
}

// Clean is what the forward answered.
func (p *pass) Clean() *query.Clean { return p.clean }

// Clean is the forward of a batch that also keeps, on the device, what the
// suffixes of the given sites start from.
func (m *Model) Clean(ctx context.Context, b *query.Batch, sites []int) (query.Pass, error) {
	loss, err := m.bound(b)
	if err == nil && loss == nil {
		err = fmt.Errorf("cuda: a clean pass of a batch without labels")
	}
	if err != nil {
		return nil, err
	}
	if sites == nil {
		sites = []int{}
	}
	if err := m.begin(b, sites); err != nil {
		return nil, err
	}
	m.pass, m.sites = nil, slices.Clone(sites)
	c, err := m.forward(ctx, b, loss, true)
	if err != nil {
		return nil, err
	}
	if err := loss.Anchor(c.Losses, c.Logits, c.Classes); err != nil {
		return nil, err
	}
	if err := m.inputNorms(c, b.N); err != nil {
		return nil, err
	}
	m.pass = &pass{m, b, loss, c}
	return m.pass, nil
}

// inputNorms adds ‖x_i‖² of every site and its live rows to a clean pass.
func (m *Model) inputNorms(c *query.Clean, n int) error {
	for _, s := range m.sites {
		x := m.net.SiteInput(s, m.opt.Mask)
		t := m.l.store[vit.CleanPrefix+x.Name]
		if err := m.dev.SumSq(m.l.sumsq, t.ptr, n, int64(t.Rows)*int64(t.Width), float32(x.Rows)); err != nil {
			return err
		}
		sq := make([]float32, n)
		if err := m.dev.Download(raw(sq), m.l.sumsq, Compute); err != nil {
			return err
		}
		c.InputSq = append(c.InputSq, sq)
	}
	return nil
}

// wholeProgram is the forward: with the taps of the layout, or without any.
func (m *Model) wholeProgram(keep bool, want int, extra int64) (*compiled, error) {
	want = min(want, m.opt.Slots)
	if keep {
		return m.program("clean", want, extra, m.whole(m.l.taps, m.l.sites))
	}
	return m.program(fmt.Sprint("whole", extra), want, extra, m.whole(nil, nil))
}

// forward evaluates a batch in micro-batches: while one is computed, the pixels
// of the next go up on the copy stream. keep stores the taps of the layout.
func (m *Model) forward(ctx context.Context, b *query.Batch, loss *objective.Bound, keep bool) (*query.Clean, error) {
	c := m.net.Answer(b.N, loss)
	for lo := 0; lo < b.N; lo += m.l.batch {
		n := min(m.l.batch, b.N-lo)
		if err := m.forwardPart(ctx, b, loss, lo, n, keep); err != nil {
			return nil, err
		}
		if err := m.answer(c, lo, n); err != nil {
			return nil, err
		}
	}
	if !m.hostLoss() || loss == nil {
		return c, nil
	}
	return c, loss.Losses(c.Losses, c.Logits, b.N, c.Classes, loss.Targets)
}

// forwardPart evaluates images lo..lo+n-1 of a batch, n at most the layout's.
func (m *Model) forwardPart(ctx context.Context, b *query.Batch, loss *objective.Bound, lo, n int, keep bool) error {
	p, err := m.wholeProgram(keep, n, 0)
	if err != nil {
		return err
	}
	image, label := m.queryArrays(0), m.queryArrays(1)
	for i := 0; i < n; i++ {
		if image[i], label[i] = int32(i), 0; loss != nil {
			label[i] = loss.Targets[lo+i]
		}
	}
	if err := m.sendQueries(n, 2); err != nil {
		return err
	}
	m.pixelsOf = b
	size := len(b.X) / b.N
	pixels := floatsOf(m.l.pixels)
	for at := 0; at < n; at += p.Slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		k := min(p.Slots, n-at)
		copy(pixels[at*size:(at+k)*size], b.X[(lo+at)*size:(lo+at+k)*size])
		images := m.l.images + Ptr(4*at*size)
		if err := m.dev.Upload(images, m.l.pixels[4*at*size:4*(at+k)*size], Copy); err != nil {
			return err
		}
		if err := m.dev.Order(Copy, Compute); err != nil {
			return err
		}
		p.vm.Set(Run{N: k, Slots: m.l.slotsAt(at), Images: images})
		if err := p.vm.RunAll(); err != nil {
			return err
		}
		if err := m.collect(p, at, k, keep); err != nil {
			return err
		}
	}
	return nil
}

// sendPixels uploads n images of a batch at once.
func (m *Model) sendPixels(b *query.Batch, lo, n int) error {
	m.pixelsOf = b
	size := len(b.X) / b.N
	copy(floatsOf(m.l.pixels), b.X[lo*size:(lo+n)*size])
	return m.dev.Upload(m.l.images, m.l.pixels[:4*n*size], Compute)
}

// collect keeps the results of a micro-batch on the device.
func (m *Model) collect(p *compiled, at, k int, keep bool) error {
	var err error
	move := func(dst, src Ptr, width int) {
		if err == nil {
			err = m.dev.CopyWithin(dst+Ptr(4*at*width), src, int64(4*k*width), Compute)
		}
	}
	if !m.hostLoss() {
		move(m.l.losses, p.vm.Value(p.Losses), 1)
	}
	move(m.l.logits, p.vm.Value(p.Logits), m.net.Arch.Outputs())
	move(m.l.features, p.vm.Value(p.Taps[m.net.Features().Name]), m.net.Features().Width)
	if keep {
		for _, name := range m.l.taps {
			t := m.l.store[vit.CleanPrefix+name]
			move(t.ptr, p.vm.Value(p.Taps[name]), t.Rows*t.Width)
		}
	}
	return err
}

// answer downloads the losses, logits and features of n images.
func (m *Model) answer(c *query.Clean, lo, n int) error {
	out := floatsOf(m.l.answers)
	get := func(dst []float32, src Ptr) error {
		if err := m.dev.Download(raw(out[:len(dst)]), src, Compute); err != nil {
			return err
		}
		copy(dst, out)
		return nil
	}
	if !m.hostLoss() && c.Losses != nil {
		if err := get(c.Losses[lo:lo+n], m.l.losses); err != nil {
			return err
		}
	}
	if err := get(c.Logits[lo*c.Classes:(lo+n)*c.Classes], m.l.logits); err != nil {
		return err
	}
	return get(c.Features[lo*c.Dim:(lo+n)*c.Dim], m.l.features)
}
