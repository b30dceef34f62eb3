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

	half   bool // the forward's products are in bf16
	values bool // and of values alone: no query multiplies differences

	mu               sync.Mutex
	forward          kernel.Packed // Wᵀ, for z = x Wᵀ
	backward         kernel.Packed // W, for dx = dz W
	rounded          kernel.Half   // Wᵀ, for z = x Wᵀ in bf16
	hasF, hasB, hasH bool
}

func newLinear(w, b *forward.Param) *linear {
	out := w.Shape[0]
	return &linear{w: w, b: b, out: out, in: len(w.Data) / out}
}

// stale says that the weight changed.
func (l *linear) stale() { l.hasF, l.hasB, l.hasH = false, false, false }

// nt is the packed weight for the forward. Workers may ask at once.
func (l *linear) nt() *kernel.Packed {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hasF {
		l.forward.PackNT(l.w.Data, l.out, l.in, l.in)
		l.hasF = true
	}
	return &l.forward
}

// nn is the packed weight for the gradient of the input.
func (l *linear) nn() *kernel.Packed {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hasB {
		l.backward.PackNN(l.w.Data, l.out, l.in, l.in)
		l.hasB = true
	}
	return &l.backward
}

// bf16 is the packed weight for the forward in bf16.
func (l *linear) bf16() *kernel.Half {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hasH {
		l.rounded.PackNT(l.w.Data, l.out, l.in, l.in)
		l.hasH = true
	}
	return &l.rounded
}
