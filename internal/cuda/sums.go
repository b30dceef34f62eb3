package cuda

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/vit"
)

// sum adds what a graph sums of n queries from at on: the gradients of
// parameters, or each query's noise by the input that it saw.
func (d *backend) sum(p *compiled, f *vit.Forward, at, n int) error {
	for j, i := range f.Params {
		v, count := p.vm.Value(p.Grads[j]), int64(len(d.net.Params()[i].Data))
		var err error
		if d.begun[i] {
			err = d.dev.Add(d.l.grads[i], d.l.grads[i], v, count)
		} else {
			err = d.dev.CopyWithin(d.l.grads[i], v, 4*count, Compute)
		}
		if err != nil {
			return err
		}
		d.begun[i] = true
	}
	e := d.l.region + Ptr(align(p.vm.Bytes()))
	for k, in := range f.Inputs {
		s := d.net.Sites()[f.Sites[k]]
		size := int64(in.Rows * s.Out)
		coef := d.l.coef + Ptr(4*k*len(d.list.Queries))
		err := d.dev.NoiseSum(e, d.l.first+Ptr(4*at), d.l.slots.Image, d.l.slots.Pair, coef, n, d.list.Step,
			uint32(f.Sites[k]), size)
		if err != nil {
			return err
		}
		x := e + Ptr(align(4*size*int64(n)))
		if tap := p.Taps[in.Name]; tap != nil {
			x = p.vm.Value(tap)
		} else {
			width, from := int64(in.Rows*s.In), d.l.store[vit.CleanPrefix+in.Name].ptr
			if err := d.dev.Gather(x, from, d.l.slotsAt(at).Image, n, width, width); err != nil {
				return err
			}
		}
		if err := d.add(s, e, x, n*in.Rows); err != nil {
			return err
		}
	}
	return nil
}

// add adds eᵀx and the column sums of e, over so many rows, to the sums of a site.
func (d *backend) add(s forward.Site, e, x Ptr, rows int) error {
	if w := d.l.grads[s.Weight]; w != 0 {
		err := d.dev.Gemm(Gemm{Form: TN, M: s.Out, N: s.In, K: rows, Alpha: 1, Accumulate: d.begun[s.Weight],
			A: Operand{Ptr: e, Ld: s.Out}, B: Operand{Ptr: x, Ld: s.In}, C: Operand{Ptr: w, Ld: s.In}})
		if err != nil {
			return err
		}
		d.begun[s.Weight] = true
	}
	if s.Bias < 0 || d.l.grads[s.Bias] == 0 {
		return nil
	}
	err := d.dev.ColumnSum(d.l.grads[s.Bias], e, int64(rows), int64(s.Out), int64(s.Out), d.begun[s.Bias], d.l.sums)
	d.begun[s.Bias] = true
	return err
}

// Collect downloads sums, except those that the device keeps.
func (d *backend) Collect(params []int) error {
	if d.held.on {
		d.held.sums = nil
		return nil
	}
	defer clear(d.begun)
	for _, i := range params {
		p := d.net.Params()[i]
		if !d.begun[i] || p.Grad == nil {
			continue
		}
		sum := floatsOf(d.l.answers)[:len(p.Grad)]
		if err := d.dev.Download(raw(sum), d.l.grads[i], Compute); err != nil {
			return err
		}
		addWide(p.Grad, sum)
	}
	return nil
}

// addWide is kernel.AddTo with every core, where there is much to add.
func addWide(dst, src []float32) {
	const piece = 1 << 16
	kernel.Parallel(runtime.GOMAXPROCS(0), (len(src)+piece-1)/piece, func(_, i int) {
		lo, hi := i*piece, min(len(src), (i+1)*piece)
		kernel.AddTo(dst[lo:hi], src[lo:hi])
	})
}

// SumSite makes E of as many images at a time as the region has room for.
func (d *backend) SumSite(ctx context.Context, site int, in vit.Activation, step uint32, terms []forward.Term) error {
	s := d.net.Sites()[site]
	x := d.l.store[vit.CleanPrefix+in.Name]
	n := in.Rows * s.Out
	per := int(min(d.l.regionBytes/int64(4*n), maxGridZ))
	end := int(terms[len(terms)-1].Image) + 1
	for lo := int(terms[0].Image); lo < end && per > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.dev.Sync(); err != nil { // the page-locked terms are written again
			return err
		}
		images, used, err := d.sendTerms(terms, lo, min(per, end-lo))
		if err != nil {
			return err
		}
		err = d.dev.NoiseSum(d.l.region, d.l.first, d.l.slots.Image, d.l.slots.Pair, d.l.coef, images, step,
			uint32(site), int64(n))
		if err != nil {
			return err
		}
		if err := d.add(s, d.l.region, x.ptr+Ptr(4*lo*in.Rows*s.In), images*in.Rows); err != nil {
			return err
		}
		terms, lo = terms[used:], lo+images
	}
	return nil
}

// SumRows uploads E of as many images at a time as the region has room for.
func (d *backend) SumRows(ctx context.Context, site int, in vit.Activation, lo int, e []float32) error {
	if err := d.refresh(); err != nil {
		return err
	}
	s := d.net.Sites()[site]
	x, n := d.l.store[vit.CleanPrefix+in.Name], in.Rows*s.Out
	per := int(d.l.regionBytes / int64(4*n))
	for ; len(e) > 0; lo += per {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := e[:min(len(e), per*n)]
		if err := d.dev.Upload(d.l.region, raw(part), Compute); err != nil {
			return err
		}
		if err := d.add(s, d.l.region, x.ptr+Ptr(4*lo*in.Rows*s.In), len(part)/s.Out); err != nil {
			return err
		}
		e = e[len(part):]
	}
	return d.dev.Sync() // e is the caller's again
}

// Stored downloads an activation.
func (d *backend) Stored(a vit.Activation, images int, buf []float32) ([]float32, error) {
	n := images * a.Rows * a.Width
	buf = slices.Grow(buf[:0], n)[:n]
	return buf, d.dev.Download(raw(buf), d.l.store[vit.CleanPrefix+a.Name].ptr, Compute)
}

// sendTerms uploads the terms of up to n images from image lo on, of which
// terms are the rest, and says how many images and terms that were.
func (d *backend) sendTerms(terms []forward.Term, lo, n int) (images, used int, err error) {
	image, pair, coef := d.queryArrays(0), d.queryArrays(2), d.coefs()
	_, _, first := d.tail()
	for images < n {
		from := used
		for used < len(terms) && int(terms[used].Image) <= lo+images && used < queryRoom {
			image[used], pair[used], coef[used] = terms[used].Image, terms[used].Pair, terms[used].Coef
			used++
		}
		if used == queryRoom && used < len(terms) && int(terms[used].Image) <= lo+images { // the image goes with the next
			if images == 0 {
				return 0, 0, fmt.Errorf("cuda: more than %d directions of one image", queryRoom)
			}
			used = from
			break
		}
		first[images], first[images+1] = int32(from), int32(used)
		images++
	}
	if err = d.sendFirst(images); err == nil {
		err = d.send(used, 3)
	}
	if err == nil {
		err = d.sendCoefs(used)
	}
	return images, used, err
}

// SumWeights sums on the device.
func (d *backend) SumWeights(ctx context.Context, params []int, step uint32, terms []forward.Term) error {
	for lo := 0; lo < len(terms); lo += queryRoom {
		if err := d.dev.Sync(); err != nil { // the page-locked terms are written again
			return err
		}
		part := terms[lo:min(len(terms), lo+queryRoom)]
		pair, coef := d.queryArrays(2), d.coefs()
		for j, x := range part {
			pair[j], coef[j] = x.Pair, x.Coef
		}
		if err := d.send(len(part), 3); err != nil {
			return err
		}
		if err := d.sendCoefs(len(part)); err != nil {
			return err
		}
		var shares []WeightShare
		var summed []int // parameters, and whether they begin
		for _, i := range params {
			var key int
			if d.l.grads[i] == 0 {
				continue
			}
			share := WeightShare{Out: d.l.grads[i], Z: d.l.grads[i], N: d.size(i) / 4, Image: uint32(i)}
			if key = 2 * i; !d.begun[i] { // from zeros on
				share.Z, key, d.begun[i] = 0, 2*i+1, true
			}
			summed, shares = append(summed, key), append(shares, share)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.shares(&d.summed, d.l.shares[2], summed, shares); err != nil {
			return err
		}
		err := d.dev.WeightsNoise(d.summed.shareTable, d.l.slots.Pair, d.l.coef, len(part), step, forward.WeightSite)
		if err != nil {
			return err
		}
	}
	return nil
}
