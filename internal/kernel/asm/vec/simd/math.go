//go:build asm

package simd

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
)

// Coefficients of e^r = 1 + r + r²·P(r) for |r| ≤ ln2/2, relative error 3e-9
// (Remez exchange, rounded to float32), lowest first, and ln 2 in two parts.
var (
	expP = []float32{0.4999999403953552, 0.1666652113199234, 0.04166838899254799, 0.008368710055947304,
		0.0013814613921567798}
	log2E        = float32(math.Log2E)
	ln2Hi, ln2Lo = float32(0.693359375), float32(-2.12194440e-4)
)

// Horner returns ((c_n·x + c_{n−1})·x + ...)·x + c_0.
func (f Form) Horner(x Vec, c []float32) Vec {
	v := f.Load(Const(c[len(c)-1]).Mem)
	for i := len(c) - 2; i >= 0; i-- {
		f.Do(VFMADD213PS, Const(c[i]), x, v)
	}
	return v
}

// reduceExp splits x = n·ln2 + r and returns n as integers and e^r; low, when
// not nil, holds what x's rounding lost, times the factor k.
func (f Form) reduceExp(x Vec, low Vec, k float32) (n, y Vec) {
	n = f.New(VMULPS, Const(log2E), x)
	f.Do(VCVTPS2DQ, n, n)
	fn := f.New(VCVTDQ2PS, n)
	r := x
	f.Do(VFNMADD231PS, Const(ln2Hi), fn, r)
	f.Do(VFNMADD231PS, Const(ln2Lo), fn, r)
	if low != nil {
		f.Do(VFMADD231PS, Const(k), low, r)
	}
	p := f.Horner(r, expP)
	y = f.New(VMULPS, r, r)
	f.Do(VFMADD213PS, r, p, y)
	f.Do(VADDPS, Const(1), y, y)
	return n, y
}

// Exp returns e^x over the whole range of float32, x overwritten. lo and hi
// are registers of ExpLow and ExpHigh.
func (f Form) Exp(x, lo, hi Vec) Vec {
	f.Do(VMAXPS, x, lo, x) // a NaN in x stays: these return their first operand when unordered
	f.Do(VMINPS, x, hi, x)
	n, y := f.reduceExp(x, nil, 0)
	half := f.New(VPSRAD, 1, n)
	f.Do(VPSUBD, half, n, n)
	f.scale(half, y)
	f.scale(n, y)
	return y
}

// Ends of Exp: beyond them the result is 0 or +Inf.
const (
	ExpLow  = -104
	ExpHigh = 89
)

// scale multiplies y by 2^n, n overwritten.
func (f Form) scale(n, y Vec) {
	f.Do(VPADDD, ConstBits(127), n, n)
	f.Do(VPSLLD, 23, n, n)
	f.Do(VMULPS, n, y, y)
}

// ExpNegative returns e^x for x ≤ 0, x overwritten: 0 below −87.7. lo is a
// register of ExpNegativeLow.
func (f Form) ExpNegative(x, lo Vec) Vec {
	f.Do(VMAXPS, x, lo, x)
	n, y := f.reduceExp(x, nil, 0)
	f.scale(n, y)
	return y
}

// ExpNegativeLow is where n = −127, whose power of two is the float 0.
const ExpNegativeLow = -88

// Coefficients of Φ(−a) = e^(−a²/2)·t·M(t − 0.5625), t = 1/(1 + 0.4a), for
// 0 ≤ a ≤ 13.4, relative error 1.5e-8 (Remez exchange, rounded to float32). The
// polynomial is about the middle of t's interval, where its terms shrink fast
// and their roundings with them.
var mills = []float32{0.3051633834838867, 0.3729041516780853, 0.2032437026500702, -0.05467655509710312,
	-0.09500904381275177,
	0.04145903140306473, 0.04642036557197571, -0.04633712396025658, -0.013626660220324993, 0.031935520470142365}

// NormalTail returns a = min(|x|, 13.27), e^(−a²/2) and Φ(−a). hi is a register
// of NormalTailHigh.
func (f Form) NormalTail(x, hi Vec) (a, e, tail Vec) {
	a = f.New(VANDPS, ConstBits(0x7FFFFFFF), x)
	f.Do(VMINPS, a, hi, a)
	t := f.Load(Const(0.4).Mem)
	f.Do(VFMADD213PS, Const(1), a, t)
	one := f.ConstReg(1)
	f.Do(VDIVPS, t, one, t)
	// a² = s + l exactly; l enters the exponential where s is already reduced.
	s := f.New(VMULPS, a, a)
	l := f.New(VMOVAPS, s)
	f.Do(VFMSUB231PS, a, a, l)
	f.Do(VMULPS, Const(-0.5), s, s)
	n, e := f.reduceExp(s, l, -0.5)
	f.scale(n, e)
	et := f.New(VMULPS, t, e)
	f.Do(VSUBPS, Const(0.5625), t, t)
	tail = f.Horner(t, mills)
	f.Do(VMULPS, et, tail, tail)
	return a, e, tail
}

// NormalTailHigh is where e^(−a²/2) is 0 by its power of two.
const NormalTailHigh = 13.27
