package vit

import (
	"sync"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
)

// linear is a linear map z = x Wᵀ + b, or z = x Wᵀ, with its weight packed for the GEMM. It
// is packed once after every change and shared by all graphs and workers.
type linear struct {
	w, b    *forward.Param // b is nil where there is none
	out, in int

	thin Thin // writes the weight, and is what is trained; nil: the weight is w

	half   bool // the forward's products are in bf16
	values bool // and of values alone: no query multiplies differences

	forward  packed[kernel.Packed] // Wᵀ, for z = x Wᵀ
	backward packed[kernel.Packed] // W, for dx = dz W
	rounded  packed[kernel.Half]   // Wᵀ, for z = x Wᵀ in bf16

	spare *spares
}

// packed is a weight as a kernel reads it, made when it is first asked for. Workers may
// ask at once.
type packed[T any] struct {
	mu   sync.Mutex
	of   T
	made bool
}

func (p *packed[T]) get(pack func(*T)) *T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.made {
		pack(&p.of)
		p.made = true
	}
	return &p.of
}

func newLinear(w, b *forward.Param) *linear {
	out := w.Shape[0]
	return &linear{w: w, b: b, out: out, in: len(w.Data) / out}
}

// weight shows a packer the weight.
func (l *linear) weight(pack func(w []float32)) {
	if l.thin == nil {
		pack(l.w.Data)
		return
	}
	l.spare.lend(l.out*l.in, func(w []float32) {
		l.thin.Weight(w)
		pack(w)
	})
}

// unpack forgets what is packed.
func (l *linear) unpack() {
	l.stale()
	l.forward.of, l.backward.of, l.rounded.of = kernel.Packed{}, kernel.Packed{}, kernel.Half{}
}

// stale says that the weight changed.
func (l *linear) stale() { l.forward.made, l.backward.made, l.rounded.made = false, false, false }

// nt is the packed weight for the forward.
func (l *linear) nt() *kernel.Packed {
	return l.forward.get(func(p *kernel.Packed) {
		l.weight(func(w []float32) { p.PackNT(w, l.out, l.in, l.in) })
	})
}

// nn is the packed weight for the gradient of the input.
func (l *linear) nn() *kernel.Packed {
	return l.backward.get(func(p *kernel.Packed) {
		if p.Bytes() == 0 {
			*p = l.spare.take(l.out, l.in)
		}
		l.weight(func(w []float32) { p.PackNN(w, l.out, l.in, l.in) })
	})
}

// bf16 is the packed weight for the forward in bf16.
func (l *linear) bf16() *kernel.Half {
	return l.rounded.get(func(p *kernel.Half) {
		l.weight(func(w []float32) { p.PackNT(w, l.out, l.in, l.in) })
	})
}
