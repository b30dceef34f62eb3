//go:build asm

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/vec/simd"
)

func softmax(f simd.Form) {
	softmaxRows(f)
	softmaxGrad(f)
}

// softmaxRows emits the softmax of rows that go on to a multiple of eight.
func softmaxRows(f simd.Form) {
	TEXT("softmaxPadded"+f.Suffix, 4, "func(x *float32, rows, n, ld int)")
	Pragma("noescape")
	Doc("softmaxPadded" + f.Suffix + " replaces each row by its softmax; it may write each up to a multiple of 8.")
	x, count, n, ld := gp("x"), gp("rows"), gp("n"), gp("ld")
	SHLQ(U8(2), ld)
	none, low := f.Fill(simd.ConstBits(0xFF800000).Mem), f.ConstReg(simd.ExpNegativeLow)
	Label("rows")
	top := rowMax(f, "max", x, n, none)
	sum := f.Zero()
	f.Row("exp", n, func(i reg.GPVirtual, tail *simd.Tail) {
		at := Mem{Base: x, Index: i, Scale: 4}
		v := f.GetOr(tail, at, none)
		f.Do(VSUBPS, top, v, v)
		y := f.ExpNegative(v, low)
		f.Do(VADDPS, y, sum, sum)
		f.PutPadded(tail, y, at)
	})
	inv := f.ConstReg(1)
	f.Do(VDIVPS, f.Sum(sum), inv, inv)
	f.Row("scale", n, func(i reg.GPVirtual, tail *simd.Tail) {
		at := Mem{Base: x, Index: i, Scale: 4}
		v := f.Get(tail, at)
		f.Do(VMULPS, v, inv, v)
		f.PutPadded(tail, v, at)
	})
	ADDQ(ld, x)
	DECQ(count)
	JNZ(LabelRef("rows"))
	f.Return()
}

func softmaxGrad(f simd.Form) {
	TEXT("softmaxGradRows"+f.Suffix, 4, "func(d *float32, ldd int, p *float32, ldp, rows, n int, scale float32)")
	Pragma("noescape")
	Doc("softmaxGradRows" + f.Suffix + " sets d = scale·p·(d − Σ p·d) in each row.")
	d, ldd, p, ldp := gp("d"), gp("ldd"), gp("p"), gp("ldp")
	count, n := gp("rows"), gp("n")
	scale := f.Fill(paramMem("scale"))
	SHLQ(U8(2), ldd)
	SHLQ(U8(2), ldp)
	Label("rows")
	dot := f.Zero()
	f.Row("dot", n, func(i reg.GPVirtual, tail *simd.Tail) {
		v := f.Get(tail, Mem{Base: d, Index: i, Scale: 4})
		w := f.Get(tail, Mem{Base: p, Index: i, Scale: 4})
		f.Do(VFMADD231PS, v, w, dot)
	})
	dot = f.Sum(dot)
	f.Row("apply", n, func(i reg.GPVirtual, tail *simd.Tail) {
		v := f.Get(tail, Mem{Base: d, Index: i, Scale: 4})
		w := f.Get(tail, Mem{Base: p, Index: i, Scale: 4})
		f.Do(VSUBPS, dot, v, v)
		f.Do(VMULPS, scale, w, w)
		f.Do(VMULPS, v, w, w)
		f.Put(tail, w, Mem{Base: d, Index: i, Scale: 4})
	})
	ADDQ(ldd, d)
	ADDQ(ldp, p)
	DECQ(count)
	JNZ(LabelRef("rows"))
	f.Return()
}
