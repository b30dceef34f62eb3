package lora

import (
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
)

// Core ends the name of a core, the r×r numbers that are learned between directions at a
// map's outputs and inputs that stay.
const Core = "core.weight"

// What a state keeps of the directions, after the name of the map.
const (
	left  = ".core_outputs"
	right = ".core_inputs"
)

// Directions are those of one weight, orthonormal: rank rows at the outputs, and as many
// at the inputs. A set reads them wherever it computes: they may be filled after NewCores,
// and are those of a checkpoint once that is restored.
type Directions struct{ Left, Right []float32 }

// between is the core of a weight.
type between struct {
	Directions
	c *forward.Param
}

// NewCores begins cores C = 0 beside weights,
//
//	W = W₀ + Lᵀ C R,   L: r×out, R: r×in,   ∂C = L Ĝ Rᵀ,
//
// r² numbers a weight. Bałazy and others, LoRA-XS: Low-Rank Adaptation with Extremely
// Small Number of Parameters, 2024, arXiv 2405.17604, with L and R of W₀'s singular
// vectors.
func NewCores(weights []*forward.Param, rank int, of []Directions) *Set {
	s := &Set{o: Options{Rank: rank, Alpha: float64(rank)}}
	for i, w := range weights {
		s.list = append(s.list, &adapter{w: w, out: w.Shape[0], in: len(w.Data) / w.Shape[0],
			core: &between{of[i], factor(w, Core, rank, rank)}})
	}
	return s
}

// coreGradient is L Ĝ Rᵀ.
func (s *Set) coreGradient(x *adapter) {
	r := s.o.Rank
	s.packed.PackNT(x.core.Right, r, x.in, x.in)
	inner := make([]float32, x.out*r)
	kernel.Gemm(inner, r, x.w.Grad, x.in, x.out, &s.packed, &kernel.Epilogue{}, &s.scratch)
	s.packed.PackNN(inner, x.out, r, r)
	kernel.Gemm(x.core.c.Grad, r, x.core.Left, x.out, r, &s.packed, &kernel.Epilogue{}, &s.scratch)
}

// Narrow leaves of the gradients of weights with cores what these can follow, Lᵀ (L Ĝ Rᵀ) R,
// whose length and angles are those of the gradient by the core, which stands there already
// where that is made with derivatives; restore brings back what they were. Other adapters
// follow all of theirs.
func (s *Set) Narrow() (restore func()) {
	if s == nil {
		return func() {}
	}
	was := make([][]float32, len(s.list))
	for i, x := range s.list {
		if x.core == nil || x.thin {
			continue
		}
		was[i] = slices.Clone(x.w.Grad)
		s.coreGradient(x)
		a, b := folded(x.core.Left, x.core.c.Grad, x.core.Right)
		s.packed.PackNN(a, s.o.Rank, x.in, x.in)
		kernel.Gemm(x.w.Grad, x.in, b, s.o.Rank, x.out, &s.packed, &kernel.Epilogue{}, &s.scratch)
	}
	return func() {
		for i, x := range s.list {
			copy(x.w.Grad, was[i])
		}
	}
}

// factors are A and B with some values of what is learned of them.
func (s *Set) factors(x *adapter, of func(name string) []float32) (a, b []float32) {
	if x.core != nil {
		return folded(x.core.Left, of(x.core.c.Name), x.core.Right)
	}
	return of(x.a.Name), of(x.b.Name)
}

// folded are the factors of the adapter that a core is: R, and Lᵀ C, out×r. Both are nil
// where the three do not fit one another.
func folded(left, c, right []float32) (a, b []float32) {
	r := 0
	for r*r < len(c) {
		r++
	}
	if r == 0 || r*r != len(c) || len(left) < r || len(left)%r != 0 || len(right)%r != 0 {
		return nil, nil
	}
	out := len(left) / r
	b = make([]float32, out*r)
	var s kernel.Scratch
	kernel.GemmTN(b, r, left, out, c, r, out, r, r, false, &s)
	return right, b
}
