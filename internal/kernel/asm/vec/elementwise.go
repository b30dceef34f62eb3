//go:build asm

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/vec/simd"
)

const (
	unary  = "func(dst, x *float32, n int)"
	binary = "func(dst, x, y *float32, n int)"
)

func elementwise(f simd.Form) {
	f.Elementwise("exp", "sets dst = e^x.", unary, []string{"x"}, func(in func(int) simd.Vec) simd.Vec {
		return f.Exp(in(0), f.ConstReg(simd.ExpLow), f.ConstReg(simd.ExpHigh))
	})
	f.Elementwise("gelu", "sets dst = x·Φ(x) = max(x, 0) − |x|·Φ(−|x|).", unary, []string{"x"},
		func(in func(int) simd.Vec) simd.Vec {
			x := in(0)
			a, _, tail := f.NormalTail(x, f.ConstReg(simd.NormalTailHigh))
			y := f.New(VMAXPS, x, f.Zero())
			f.Do(VFNMADD231PS, a, tail, y)
			return y
		})
	f.Elementwise("geluGrad", "sets dst = y·(Φ(x) + x·φ(x)).", binary, []string{"x", "y"},
		func(in func(int) simd.Vec) simd.Vec {
			a, e, g := f.NormalTail(in(0), f.ConstReg(simd.NormalTailHigh))
			// With g = |x|·φ − Φ(−|x|) the factor is 1 + g for x ≥ 0 and −g below.
			f.Do(VMULPS, simd.Const(0.3989422804014327), e, e)
			f.Do(VFMSUB231PS, a, e, g)
			negative := f.New(VPSRAD, 31, in(0))
			one := f.New(VANDNPS, simd.Const(1), negative)
			f.Do(VPSLLD, 31, negative, negative)
			f.Do(VXORPS, negative, g, g)
			f.Do(VADDPS, one, g, g)
			f.Do(VMULPS, in(1), g, g)
			return g
		})
	f.Elementwise("add", "sets dst = x + y.", binary, []string{"x", "y"}, func(in func(int) simd.Vec) simd.Vec {
		return f.New(VADDPS, in(1), in(0))
	})
	f.Elementwise("sub", "sets dst = x − y.", binary, []string{"x", "y"}, func(in func(int) simd.Vec) simd.Vec {
		return f.New(VSUBPS, in(1), in(0))
	})
	scalarTimes(f, "axpy", "adds alpha·x to dst.", "func(dst *float32, alpha float32, x *float32, n int)", true)
	scalarTimes(f, "scale", "multiplies dst by alpha.", "func(dst *float32, alpha float32, n int)", false)
}

func scalarTimes(f simd.Form, name, doc, signature string, add bool) {
	TEXT(name+f.Suffix, 4, signature) // NOSPLIT
	Pragma("noescape")
	Doc(name + f.Suffix + " " + doc)
	dst := gp("dst")
	alpha := f.Fill(paramMem("alpha"))
	x := dst
	if add {
		x = gp("x")
	}
	f.Row("row", gp("n"), func(i reg.GPVirtual, tail *simd.Tail) {
		at := Mem{Base: dst, Index: i, Scale: 4}
		v := f.Get(tail, Mem{Base: x, Index: i, Scale: 4})
		if add {
			d := f.Get(tail, at)
			f.Do(VFMADD231PS, v, alpha, d)
			v = d
		} else {
			f.Do(VMULPS, v, alpha, v)
		}
		f.Put(tail, v, at)
	})
	f.Return()
}

// gp loads an integer or pointer argument.
func gp(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// paramMem is the stack slot of an argument.
func paramMem(name string) Mem {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}
