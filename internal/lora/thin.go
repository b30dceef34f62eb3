package lora

import (
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
)

// Thin is a weight with its adapter: W, made where it is needed, and the gradient by what is
// learned beside W₀, made of what a derivative has at the map z = W x in the place of that
// by W, Ĝ = dzᵀ x:
//
//	∂A = (α/r) (dz B)ᵀ x,   ∂B = (α/r) dzᵀ (x Aᵀ),   ∂C = (dz Lᵀ)ᵀ (x Rᵀ),
//
// 4·rows·r·(in + out) multiplications and additions where Ĝ takes 2·rows·in·out, and
// r·(in + out) numbers (r² of a core) where Ĝ has in·out: less of both for ranks below a
// quarter of a square weight's width (Saves).
type Thin struct {
	s *Set
	x *adapter
}

// Thin asks take, weight by weight, to compute by W, to make these gradients wherever it
// differentiates, into the weight's Grad, and has the factors read them there; the weight
// stays W₀. Where it says no, W is written by Merge, and the gradients are made of the
// weight's by Through; of such a weight W₀ is copied now. What has been gathered of any
// gradient is lost. It is for a set that has not merged yet.
func (s *Set) Thin(take func(weight *forward.Param, t *Thin) bool) {
	for _, x := range s.list {
		if x.thin = take(x.w, &Thin{s, x}); !x.thin {
			x.w0()
			continue
		}
		at := 0
		for _, p := range x.trained() {
			n := len(p.Data)
			p.Grad = x.w.Grad[at : at+n : at+n]
			at += n
		}
	}
}

// Values is how many numbers are learned.
func (t *Thin) Values() (n int) {
	for _, p := range t.x.trained() {
		n += len(p.Data)
	}
	return n
}

// Saves says whether this takes fewer operations and numbers than the weight's gradient.
func (t *Thin) Saves() bool {
	n := len(t.x.w.Data)
	return t.FLOPs(1) < 2*int64(n) && t.Values() < n
}

// Weight writes W, out×in; for one goroutine at a time.
func (t *Thin) Weight(w []float32) { t.s.merged(t.x, w, t.x.data) }

// FLOPs is the cost of Gradient.
func (t *Thin) FLOPs(rows int) int64 {
	n, r := t.x.in+t.x.out, t.s.o.Rank
	if t.x.core != nil {
		return 2 * int64(rows) * int64(r) * int64(n+r)
	}
	return 4 * int64(rows) * int64(r) * int64(n)
}

// Gradient writes that of A and that of B, or that of the core, of dz, rows×out, and x,
// rows×in.
func (t *Thin) Gradient(out, dz, x []float32, rows int, w *kernel.Thin, s *kernel.Scratch) {
	a, r := t.x, t.s.o.Rank
	if a.core != nil {
		left, right := w.NT(0, dz, rows, a.core.Left, r, a.out, s), w.NT(1, x, rows, a.core.Right, r, a.in, s)
		kernel.GemmTN(out, r, left, r, right, r, r, r, rows, false, s)
		return
	}
	left, right := w.NN(0, dz, rows, a.b.Data, a.out, r, s), w.NT(1, x, rows, a.a.Data, r, a.in, s)
	kernel.GemmTN(out, a.in, left, r, x, a.in, r, a.in, rows, false, s)
	kernel.GemmTN(out[r*a.in:], r, dz, a.out, right, r, a.out, r, rows, false, s)
	kernel.Scale(out, t.s.scale())
}
