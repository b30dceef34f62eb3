//go:build asm

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/vec/simd"
)

// dot keeps four vectors of partial sums while 64 elements are left, and one
// after that.
func dot(f simd.Form) {
	TEXT("dot"+f.Suffix, 4, "func(a, b *float32, n int) float32")
	Pragma("noescape")
	Doc("dot" + f.Suffix + " returns Σ a·b.")
	a, b, n := gp("a"), gp("b"), gp("n")
	var acc [4]simd.Vec
	for i := range acc {
		acc[i] = f.Zero()
	}
	SUBQ(U8(64), n)
	JL(LabelRef("small"))
	Label("big")
	for i := range acc {
		v := f.Load(Mem{Base: a, Disp: 64 * i})
		f.Do(VFMADD231PS, simd.At{Mem: Mem{Base: b, Disp: 64 * i}}, v, acc[i])
	}
	ADDQ(U32(256), a)
	ADDQ(U32(256), b)
	SUBQ(U8(64), n)
	JGE(LabelRef("big"))
	Label("small")
	ADDQ(U8(64), n)
	f.Row("row", n, func(i reg.GPVirtual, tail *simd.Tail) {
		v := f.Get(tail, Mem{Base: a, Index: i, Scale: 4})
		w := f.Get(tail, Mem{Base: b, Index: i, Scale: 4})
		f.Do(VFMADD231PS, w, v, acc[0])
	})
	f.Do(VADDPS, acc[1], acc[0], acc[0])
	f.Do(VADDPS, acc[3], acc[2], acc[2])
	f.Do(VADDPS, acc[2], acc[0], acc[0])
	Store(f.Sum(acc[0])[0].AsX(), ReturnIndex(0))
	f.Return()
}

// rowMax returns the maximum of a row in every lane; none is a register of −Inf.
func rowMax(f simd.Form, label string, x, n reg.GPVirtual, none simd.Vec) simd.Vec {
	top := f.New(VMOVAPS, none)
	f.Row(label, n, func(i reg.GPVirtual, tail *simd.Tail) {
		v := f.GetOr(tail, Mem{Base: x, Index: i, Scale: 4}, none)
		f.Do(VMAXPS, v, top, top)
	})
	return f.Max(top)
}
