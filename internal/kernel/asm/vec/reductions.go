package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/vec/simd"
)

func reductions(f simd.Form) {
	dot(f)
	sumSquares(f)
	TEXT("max"+f.Suffix, 4, "func(x *float32, n int) float32")
	Pragma("noescape")
	Doc("max" + f.Suffix + " returns the largest element.")
	lo := f.Fill(simd.ConstBits(0xFF800000).Mem)
	Store(rowMax(f, "row", gp("x"), gp("n"), lo)[0].AsX(), ReturnIndex(0))
	f.Return()

	TEXT("expSum"+f.Suffix, 4, "func(x *float32, top float32, n int) float32")
	Pragma("noescape")
	Doc("expSum" + f.Suffix + " returns Σ e^(x − top) for top ≥ max(x).")
	x, top := gp("x"), f.Fill(paramMem("top"))
	sum := f.Zero()
	low, none := f.ConstReg(simd.ExpNegativeLow), f.Fill(simd.ConstBits(0xFF800000).Mem)
	f.Row("row", gp("n"), func(i reg.GPVirtual, tail *simd.Tail) {
		v := f.GetOr(tail, Mem{Base: x, Index: i, Scale: 4}, none)
		f.Do(VSUBPS, top, v, v)
		f.Do(VADDPS, f.ExpNegative(v, low), sum, sum)
	})
	Store(f.Sum(sum)[0].AsX(), ReturnIndex(0))
	f.Return()
}

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

// sumSquares works in float64 on 16 elements at a time; n is a multiple of 16.
func sumSquares(f simd.Form) {
	TEXT("sumSq"+f.Suffix, 4, "func(x *float32, n int) float64")
	Pragma("noescape")
	Doc("sumSq" + f.Suffix + " returns Σ x² in float64 for n a multiple of 16.")
	x, n := gp("x"), gp("n")
	parts := 4
	if f.Wide {
		parts = 2
	}
	acc := make([]reg.VecVirtual, parts)
	for i := range acc {
		acc[i] = f.Part()
		VXORPD(acc[i], acc[i], acc[i])
	}
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("loop")
	for i := range acc {
		v := f.Part()
		VCVTPS2PD(Mem{Base: x, Disp: 64 / parts * i}, v)
		VFMADD231PD(v, v, acc[i])
	}
	ADDQ(U8(64), x)
	SUBQ(U8(16), n)
	JNZ(LabelRef("loop"))
	Label("done")
	lo, hi := YMM(), YMM()
	if f.Wide {
		VADDPD(acc[1], acc[0], acc[0])
		VEXTRACTF64X4(U8(1), acc[0], hi)
		VADDPD(acc[0].AsY(), hi, lo)
	} else {
		VADDPD(acc[2], acc[0], acc[0])
		VADDPD(acc[3], acc[1], acc[1])
		VADDPD(acc[0], acc[1], lo)
	}
	VEXTRACTF128(U8(1), lo, hi.AsX())
	VADDPD(lo.AsX(), hi.AsX(), lo.AsX())
	VUNPCKHPD(lo.AsX(), lo.AsX(), hi.AsX())
	VADDSD(lo.AsX(), hi.AsX(), lo.AsX())
	Store(lo.AsX(), ReturnIndex(0))
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
