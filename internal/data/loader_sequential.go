package data

import (
	"fmt"
	"iter"

	"github.com/flops-vit/flops/forward"
)

// Sequential goes once through the dataset in its order, without augmentation,
// in batches of bs images; the last may be shorter. A batch is valid until the
// loop asks for the next. It ends after an error. Batch must not be called
// inside the loop.
func (l *Loader) Sequential(bs int) iter.Seq2[*forward.Batch, error] {
	return l.From(0, l.ds.Len(), bs)
}

// From is Sequential of n images from one on.
func (l *Loader) From(first, n, bs int) iter.Seq2[*forward.Batch, error] {
	return func(yield func(*forward.Batch, error) bool) {
		if bs < 1 || first < 0 || n < 0 || n > l.ds.Len()-first {
			yield(nil, fmt.Errorf("data: batches of %d images, of %d from image %d on", bs, n, first))
			return
		}
		bs := min(bs, n)
		ring := [2]*slot{l.newSlot(bs), l.newSlot(bs)}
		defer func() {
			for _, s := range ring {
				s.pending.Wait()
			}
		}()
		start := func(k int) {
			if m := min(bs, n-k*bs); m > 0 {
				s := ring[k%2]
				s.epoch = -1
				for i := range m {
					s.batch.Index[i] = int32(first + k*bs + i)
				}
				s.batch.Labels, s.batch.Index = s.batch.Labels[:m], s.batch.Index[:m]
				if s.batch.Levels != nil {
					s.batch.Levels.Data = s.batch.Levels.Data[:m*l.pixels()]
				} else {
					s.batch.Inputs = s.batch.Inputs[:m*l.pixels()]
				}
				l.submit(s, m)
			}
		}
		start(0)
		for k := 0; k*bs < n; k++ {
			start(k + 1)
			b, err := ring[k%2].wait()
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}
