package cuda

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

var _ vit.Guider = (*backend)(nil)

// guided is one site's share of a gradient that is partly predicted, and where some
// images of it stand in the region.
type guided struct {
	*backend
	*vit.Link
	g            *forward.Guess
	site         int
	step         uint32
	in           vit.Activation
	n            int64 // values of E of one image
	images       int   // of the batch
	hat, raw, e  Ptr
	u, out, sq   Ptr // of the anchor's width
	weight, left Ptr
	coef         Ptr // weighted, where what is predicted is not used
}

// SumGuided makes E of as many images at a time as the region has room for.
func (d *backend) SumGuided(ctx context.Context, site int, in vit.Activation, l *vit.Link, images int, step uint32,
	g *forward.Guess) error {
	if err := d.refresh(); err != nil {
		return err
	}
	s := d.net.Sites()[site]
	c := &guided{backend: d, Link: l, g: g, site: site, step: step, in: in, n: int64(in.Rows) * int64(s.Out),
		images: images}
	if l.Kind == vit.AtAttention && l.K.Rows > pullTokens {
		return uierr.New(fmt.Sprintf("estimator.surrogate: linear: %d tokens are more than the %d that a GPU predicts at",
			l.K.Rows, pullTokens), "set estimator.surrogate: none, or train.device: cpu")
	}
	g.Left = make([]float32, len(g.Coefs))
	if l.Teaches {
		g.Pushed, g.Spread = make([]float32, images*l.Width), make([]float32, l.Width)
	}
	most := 0 // directions of an image
	for lo, hi := 0, 0; lo < len(g.Queries); lo = hi {
		for hi = lo; hi < len(g.Queries) && g.Queries[hi].Image == g.Queries[lo].Image; hi++ {
		}
		most = max(most, hi-lo)
	}
	per := int(min(d.l.regionBytes/guidedBytes(c.n, int64(l.Width), int64(l.Heads), most), maxGridZ))
	if per < 1 {
		return fmt.Errorf("cuda: no room for what is predicted of one image at %s", s.Name)
	}
	terms := make([]forward.Term, len(g.Queries))
	for i, q := range g.Queries {
		terms[i] = forward.Term{Image: q.Image, Pair: q.Pair, Coef: g.Coefs[i]}
	}
	for lo, at := 0, 0; lo < images; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.dev.Sync(); err != nil { // the page-locked terms are written again
			return err
		}
		n, used, err := d.sendTerms(terms[at:], lo, min(per, images-lo))
		if err == nil {
			err = c.part(lo, n, terms[at:at+used], g.Left[at:at+used])
		}
		if err != nil {
			return err
		}
		lo, at = lo+n, at+used
	}
	kernel.Scale(g.Spread, 1/float32(images))
	return nil
}

// guidedBytes is what one image asks of the region.
func guidedBytes(n, width, heads int64, directions int) int64 {
	return 3*align(4*n) + 3*align(4*width) + align(4*heads) + align(4) + 2*align(4*int64(directions))
}

// part sums n images from lo on, whose terms were sent.
func (c *guided) part(lo, n int, terms []forward.Term, left []float32) error {
	next := c.l.region
	take := func(values int64) (p Ptr) {
		p, next = next, next+Ptr(align(4*values))
		return p
	}
	count, width := int64(n), int64(n)*int64(c.Width)
	c.hat, c.raw, c.e = take(count*c.n), take(count*c.n), take(count*c.n)
	c.u, c.out, c.sq = take(width), take(width), take(max(width, count*int64(c.Heads)))
	c.weight, c.left, c.coef = take(count), take(int64(len(terms))), take(int64(len(terms)))
	dev, s := c.dev, c.net.Sites()[c.site]
	err := c.upload(c.u, c.g.At[lo*c.Width:(lo+n)*c.Width])
	if err == nil {
		err = c.upload(c.weight, c.g.Weights[lo:lo+n])
	}
	if err == nil {
		err = c.pull(lo, n)
	}
	if err == nil {
		err = dev.NoiseLeft(c.left, c.l.coef, c.hat, c.l.slots.Image, c.l.slots.Pair, len(terms), c.step, uint32(c.site),
			lo, c.n)
	}
	if err == nil && (c.g.Used || c.Teaches) {
		err = c.noise(c.raw, c.left, n)
	}
	switch {
	case err != nil:
	case c.g.Used:
		err = dev.Mix(c.e, c.raw, c.hat, c.weight, 1/float32(c.images), n, c.n)
	default:
		coef := make([]float32, len(terms))
		for j, t := range terms {
			coef[j] = c.g.Weights[t.Image] * t.Coef
		}
		if err = c.upload(c.coef, coef); err == nil {
			err = c.noise(c.e, c.coef, n)
		}
	}
	if err == nil {
		x := c.l.store[vit.CleanPrefix+c.in.Name].ptr
		err = c.add(s, c.e, x+Ptr(4*lo*c.in.Rows*s.In), n*c.in.Rows)
	}
	if err == nil && c.Teaches {
		err = c.push(lo, n)
	}
	if err != nil {
		return err
	}
	return dev.Download(raw(left), c.left, Compute)
}

// upload copies from memory that is not page-locked, which may be written at once.
func (c *guided) upload(dst Ptr, v []float32) error { return c.dev.Upload(dst, raw(v), Compute) }

// noise is Σ coef·ε of each of n images.
func (c *guided) noise(out, coef Ptr, n int) error {
	return c.dev.NoiseSum(out, c.l.first, c.l.slots.Image, c.l.slots.Pair, coef, n, c.step, uint32(c.site), c.n)
}

// stored is where an activation of an image stands.
func (c *guided) stored(a vit.Activation, image int) Ptr {
	return c.l.store[vit.CleanPrefix+a.Name].ptr + Ptr(4*image*a.Rows*a.Width)
}

// pull is ĝ = Dᵀu, into hat.
func (c *guided) pull(lo, n int) error {
	switch c.Kind {
	case vit.AtActivation:
		return c.dev.ActivationGrad(function(c.Act), c.hat, c.stored(c.Z, lo), c.u, int64(n)*c.n)
	case vit.AtAttention:
		head := c.Width / c.Heads
		return c.dev.PullAttention(c.hat, c.sq, c.stored(c.Q, lo), c.stored(c.K, lo), c.stored(c.V, lo), c.u, n, c.K.Rows,
			c.Heads, head, c.Part, scaleOf(head))
	}
	return c.dev.CopyWithin(c.hat, c.u, 4*int64(n)*c.n, Compute)
}

// push is D·raw of each image, and adds the variances of D·ε to g.Spread. raw of values
// goes through the attention in their place.
func (c *guided) push(lo, n int) error {
	width, out := int64(c.Width), c.g.Pushed[lo*c.Width:(lo+n)*c.Width]
	var err error
	from, sq := c.out, make([]float32, n*c.Heads)
	switch c.Kind {
	case vit.AtActivation:
		z, f := c.stored(c.Z, lo), function(c.Act)
		if err = c.dev.ActivationGrad(f, c.out, z, c.raw, int64(n)*width); err == nil {
			err = c.dev.SlopeSquare(f, c.sq, z, int64(n)*width)
		}
		sq = make([]float32, n*c.Width)
	case vit.AtAttention:
		head := c.Width / c.Heads
		err = c.dev.AttentionRow(c.out, c.stored(c.Q, lo), c.stored(c.K, lo), c.raw, 0, 0, 0, n, c.K.Rows, c.Heads, head,
			scaleOf(head))
	default:
		from = c.raw
	}
	if err == nil {
		err = c.dev.Download(raw(out), from, Compute)
	}
	if err == nil && len(sq) > 0 {
		err = c.dev.Download(raw(sq), c.sq, Compute)
	}
	if err != nil {
		return err
	}
	for i := range n {
		for k := range c.g.Spread {
			switch c.Kind {
			case vit.AtActivation:
				c.g.Spread[k] += sq[i*c.Width+k]
			case vit.AtAttention:
				c.g.Spread[k] += sq[i*c.Heads+k*c.Heads/c.Width]
			default:
				c.g.Spread[k]++
			}
		}
	}
	return nil
}
