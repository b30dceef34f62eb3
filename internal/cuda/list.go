package cuda

import (
	"runtime"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/vit"
)

// queryArrays is page-locked memory for one number per query: image, label,
// pair, sign.
func (d *backend) queryArrays(i int) []int32 {
	return intsOf(d.l.queries[4*i*queryRoom : 4*(i+1)*queryRoom])
}

// coefs is page-locked memory for the coefficients.
func (d *backend) coefs() []float32 { return floatsOf(d.l.queries[4*4*queryRoom : 4*5*queryRoom]) }

// tail is the page-locked memory after the arrays: σ of every site, the step,
// and where the terms of each row of noise begin.
func (d *backend) tail() (sigma []float32, step, first []int32) {
	rest := d.l.queries[4*5*queryRoom:]
	n := len(d.net.Sites())
	return floatsOf(rest[:4*n]), intsOf(rest[4*n : 4*n+4]), intsOf(rest[4*n+4:])
}

// send uploads the first n entries of the first arrays of queries. The page-locked
// memory must not be written again before the device was waited for, which every
// download does.
func (d *backend) send(n, arrays int) error {
	for i, p := range []Ptr{d.l.slots.Image, d.l.slots.Label, d.l.slots.Pair, d.l.slots.Sign}[:arrays] {
		if err := d.dev.Upload(p, raw(d.queryArrays(i)[:n]), Compute); err != nil {
			return err
		}
	}
	return nil
}

// sendFirst uploads where the terms of so many rows begin and end, as tail holds
// it, and sendCoefs n coefficients.
func (d *backend) sendFirst(rows int) error {
	_, _, first := d.tail()
	return d.dev.Upload(d.l.first, raw(first[:rows+1]), Compute)
}

func (d *backend) sendCoefs(n int) error { return d.dev.Upload(d.l.coef, raw(d.coefs()[:n]), Compute) }

// Show has the images uploaded as they are read.
func (d *backend) Show(b *forward.Batch, lo, n int) { d.batch, d.first, d.sent = b, lo, 0 }

// givenPieces is how many pieces an activation goes up in: one is copied into
// page-locked memory while the one before is on its way.
const givenPieces = 4

// Give uploads an activation to its place in the store, where forwards begin.
func (d *backend) Give(a vit.Activation, images [][]float32, _ bool) error {
	if err := d.dev.Sync(); err != nil { // the page-locked memory is written again
		return err
	}
	t, n := d.l.store[vit.CleanPrefix+a.Name], a.Rows*a.Width
	if len(d.l.given) < 4*n*len(images) {
		d.l.given = nil
		if err := d.lock(&d.l.given, 4*int64(n)*int64(max(len(images), d.l.asked.Images))); err != nil {
			return err
		}
	}
	buf := floatsOf(d.l.given)
	per := max(1, (len(images)+givenPieces-1)/givenPieces)
	for lo := 0; lo < len(images); lo += per {
		part := images[lo:min(len(images), lo+per)]
		to := buf[lo*n : (lo+len(part))*n]
		kernel.Parallel(min(8, runtime.GOMAXPROCS(0)), len(part), func(_, i int) { copy(to[i*n:(i+1)*n], part[i]) })
		if err := d.dev.Upload(t.ptr+Ptr(4*lo*n), raw(to), Copy); err != nil {
			return err
		}
	}
	return d.dev.Order(Copy, Compute)
}

// Read downloads an image's activation.
func (d *backend) Read(a vit.Activation, image int, out []float32) error {
	t, n := d.l.store[vit.CleanPrefix+a.Name], a.Rows*a.Width
	buf := floatsOf(d.l.answers)[:n]
	err := d.dev.Download(raw(buf), t.ptr+Ptr(4*image*n), Compute)
	copy(out, buf)
	return err
}

// Room is what the device is told of at once; fewer where their logits are kept, for an
// objective of the host or whoever wants them.
func (d *backend) Room(outputs bool) int {
	if d.hostLoss || outputs {
		return int(logitRoom())
	}
	return queryRoom
}

// Begin uploads a list.
func (d *backend) Begin(l *vit.List) error {
	if err := d.refresh(); err != nil {
		return err
	}
	d.list = l
	image, label, pair, sign := d.queryArrays(0), d.queryArrays(1), d.queryArrays(2), d.queryArrays(3)
	n := len(l.Queries)
	for i, q := range l.Queries {
		image[i], pair[i], sign[i] = q.Image, q.Pair, int32(q.Sign)
	}
	clear(label[:n])
	copy(label[:n], l.Targets)
	if err := d.send(n, 4); err != nil {
		return err
	}
	sigma, step, first := d.tail()
	if l.Coef != nil {
		copy(d.coefs(), l.Coef)
		if err := d.sendCoefs(len(l.Coef)); err != nil {
			return err
		}
	}
	if len(l.Sites) == 0 {
		return nil
	}
	clear(sigma)
	for i, s := range l.Sites {
		sigma[s] = l.Sigma[i]
	}
	step[0] = int32(l.Step)
	err := d.dev.Upload(d.l.slots.Sigma, d.l.queries[4*5*queryRoom:][:4*(len(sigma)+1)], Compute)
	if err != nil || l.Coef == nil {
		return err
	}
	for i := range n + 1 { // each query is a row of noise
		first[i] = int32(i)
	}
	return d.sendFirst(n)
}

// logits says that the list's logits are wanted, or its losses of the host.
func (d *backend) logits() bool {
	return d.list.Logits != nil || d.list.Losses != nil && d.hostLoss
}

// End downloads what the list wants, and evaluates an objective of the host.
func (d *backend) End() error {
	l, n, k := d.list, len(d.list.Queries), d.net.Arch.Outputs()
	get := func(dst []float32, src Ptr) error {
		if len(dst) == 0 {
			return nil
		}
		out := floatsOf(d.l.answers)[:len(dst)]
		err := d.dev.Download(raw(out), src, Compute)
		copy(dst, out)
		return err
	}
	if d.logits() {
		if l.Logits == nil {
			l.Logits = make([]float32, n*k)
		}
		if err := get(l.Logits, d.l.logits); err != nil {
			return err
		}
	}
	if err := get(l.Features, d.l.features); err != nil {
		return err
	}
	if d.hostLoss && l.Losses != nil {
		return l.Loss.Losses(l.Losses, l.Logits, n, k, l.Targets)
	}
	return get(l.Losses, d.l.losses)
}

// Norms sums on the device.
func (d *backend) Norms(a vit.Activation, out []float32) error {
	t := d.l.store[vit.CleanPrefix+a.Name]
	if err := d.dev.SumSq(d.l.sumsq, t.ptr, len(out), int64(t.Rows)*int64(t.Width), float32(a.Rows)); err != nil {
		return err
	}
	return d.dev.Download(raw(out), d.l.sumsq, Compute)
}
