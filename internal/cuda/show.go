package cuda

import (
	"runtime"
	"sync"
)

// uploadPieces is how many parts a batch goes up in, so that the host copies one to
// page-locked memory while the one before travels.
const uploadPieces = 8

// TakesLevels says that batches may carry their images as bytes, which need planes of
// whole words.
func (d *backend) TakesLevels() bool {
	chans, _, _ := d.net.Arch.Input()
	return d.net.Pixels()/chans%4 == 0
}

// show uploads the images shown up to a number of them, on the copy stream, and lets
// what is computed next wait for them.
func (d *backend) show(need int) error {
	if need <= d.sent {
		return nil
	}
	pixels, images := d.net.Pixels(), int64(d.l.asked.Images)
	size, dst := 4, d.l.images
	levels := d.batch.Levels
	var from, to []byte
	if levels != nil {
		size, dst, from = 1, d.l.levels, levels.Data
		if err := d.lock(&d.l.bytes, images*int64(pixels)+int64(4*len(levels.Table))); err != nil {
			return err
		}
		to = d.l.bytes
		if d.sent == 0 {
			table := to[images*int64(pixels):][:4*len(levels.Table)]
			copy(table, raw(levels.Table))
			if err := d.dev.Upload(d.l.table, table, Copy); err != nil {
				return err
			}
		}
	} else {
		from = raw(d.batch.Inputs)
		if err := d.lock(&d.l.pixels, 4*images*int64(pixels)); err != nil {
			return err
		}
		to = d.l.pixels
	}
	at := func(image int) int { return image * pixels * size }
	per := max(1, (need-d.sent+uploadPieces-1)/uploadPieces)
	for lo := d.sent; lo < need; lo += per {
		hi := min(need, lo+per)
		copyWide(to[at(lo):at(hi)], from[at(d.first+lo):at(d.first+hi)])
		if err := d.dev.Upload(dst+Ptr(at(lo)), to[at(lo):at(hi)], Copy); err != nil {
			return err
		}
	}
	d.sent = need
	return d.dev.Order(Copy, Compute)
}

// copyWide copies with several cores, since one does not fill a bus.
func copyWide(dst, src []byte) {
	const least = 1 << 20
	workers := min(8, runtime.GOMAXPROCS(0), (len(src)+least-1)/least)
	if workers <= 1 {
		copy(dst, src)
		return
	}
	var done sync.WaitGroup
	per := (len(src) + workers - 1) / workers
	for lo := 0; lo < len(src); lo += per {
		hi := min(len(src), lo+per)
		done.Go(func() { copy(dst[lo:hi], src[lo:hi]) })
	}
	done.Wait()
}
