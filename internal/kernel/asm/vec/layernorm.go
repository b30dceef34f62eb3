//go:build asm

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/vec/simd"
)

// storeScalar writes lane 0 of v to *p and moves p on, unless p is nil.
func storeScalar(label string, v simd.Vec, p reg.GPVirtual) {
	TESTQ(p, p)
	JZ(LabelRef(label))
	VMOVSS(v[0].AsX(), Mem{Base: p})
	ADDQ(U8(4), p)
	Label(label)
}

func layerNorm(f simd.Form) {
	TEXT("layerNormRows"+f.Suffix, 4, "func(dst *float32, ldd int, x *float32, ldx, rows, d int, gamma, beta *float32, "+
		"eps, invd float32, mean, rstd *float32)")
	Pragma("noescape")
	Doc("layerNormRows" + f.Suffix + " normalises rows; invd is 1/d, mean and rstd may be nil.")
	dst, ldd, x, ldx, count, d := gp("dst"), gp("ldd"), gp("x"), gp("ldx"), gp("rows"), gp("d")
	gamma, beta, meanP, rstdP := gp("gamma"), gp("beta"), gp("mean"), gp("rstd")
	SHLQ(U8(2), ldd)
	SHLQ(U8(2), ldx)
	Label("rows")
	sum := f.Zero()
	f.Row("sum", d, func(i reg.GPVirtual, tail *simd.Tail) {
		f.Do(VADDPS, f.Get(tail, Mem{Base: x, Index: i, Scale: 4}), sum, sum)
	})
	mean := f.Sum(sum)
	invd := f.Fill(paramMem("invd"))
	f.Do(VMULPS, invd, mean, mean)
	sq := f.Zero()
	f.Row("square", d, func(i reg.GPVirtual, tail *simd.Tail) {
		v := f.GetOr(tail, Mem{Base: x, Index: i, Scale: 4}, mean)
		f.Do(VSUBPS, mean, v, v)
		f.Do(VFMADD231PS, v, v, sq)
	})
	variance := f.Sum(sq)
	invd = f.Fill(paramMem("invd"))
	eps := f.Fill(paramMem("eps"))
	f.Do(VFMADD213PS, eps, invd, variance)
	f.Do(VSQRTPS, variance, variance)
	rstd := f.ConstReg(1)
	f.Do(VDIVPS, variance, rstd, rstd)
	f.Row("apply", d, func(i reg.GPVirtual, tail *simd.Tail) {
		v := f.Get(tail, Mem{Base: x, Index: i, Scale: 4})
		f.Do(VSUBPS, mean, v, v)
		f.Do(VMULPS, rstd, v, v)
		g := f.Get(tail, Mem{Base: gamma, Index: i, Scale: 4})
		b := f.Get(tail, Mem{Base: beta, Index: i, Scale: 4})
		f.Do(VFMADD213PS, b, g, v)
		f.Put(tail, v, Mem{Base: dst, Index: i, Scale: 4})
	})
	storeScalar("noMean", mean, meanP)
	storeScalar("noRstd", rstd, rstdP)
	ADDQ(ldx, x)
	ADDQ(ldd, dst)
	DECQ(count)
	JNZ(LabelRef("rows"))
	f.Return()
}

// layerNormGrad takes g and the two averages in one pass over the row, and the
// gradients of gamma and beta in the same pass; the portable wrapper gives it
// scratch-free nil checks by two entry points.
func layerNormGrad(f simd.Form) {
	for _, params := range []bool{false, true} {
		name := "layerNormGradRows"
		if params {
			name = "layerNormGradAllRows"
		}
		TEXT(name+f.Suffix, 4, "func(dx, dy, x *float32, rows, d int, gamma, mean, rstd, dgamma, dbeta *float32, invd "+
			"float32)")
		Pragma("noescape")
		if params {
			Doc(name + f.Suffix + " is layerNormGradRows" + f.Suffix + " that also adds to dgamma and dbeta.")
		} else {
			Doc(name + f.Suffix + " writes dx of contiguous rows; dgamma and dbeta are not used.")
		}
		dx, dy, x, count, d := gp("dx"), gp("dy"), gp("x"), gp("rows"), gp("d")
		gamma, meanP, rstdP := gp("gamma"), gp("mean"), gp("rstd")
		var dgamma, dbeta reg.GPVirtual
		if params {
			dgamma, dbeta = gp("dgamma"), gp("dbeta")
		}
		Label("rows")
		mean, rstd := f.Fill(Mem{Base: meanP}), f.Fill(Mem{Base: rstdP})
		sg, sgx := f.Zero(), f.Zero()
		hat := func(i reg.GPVirtual, tail *simd.Tail) (xh, g, up simd.Vec) {
			xh = f.GetOr(tail, Mem{Base: x, Index: i, Scale: 4}, mean)
			f.Do(VSUBPS, mean, xh, xh)
			f.Do(VMULPS, rstd, xh, xh)
			up = f.Get(tail, Mem{Base: dy, Index: i, Scale: 4})
			g = f.Get(tail, Mem{Base: gamma, Index: i, Scale: 4})
			f.Do(VMULPS, up, g, g)
			return xh, g, up
		}
		f.Row("sums", d, func(i reg.GPVirtual, tail *simd.Tail) {
			xh, g, up := hat(i, tail)
			f.Do(VADDPS, g, sg, sg)
			f.Do(VFMADD231PS, g, xh, sgx)
			if params {
				at := Mem{Base: dbeta, Index: i, Scale: 4}
				b := f.Get(tail, at)
				f.Do(VADDPS, up, b, b)
				f.Put(tail, b, at)
				at = Mem{Base: dgamma, Index: i, Scale: 4}
				b = f.Get(tail, at)
				f.Do(VFMADD231PS, up, xh, b)
				f.Put(tail, b, at)
			}
		})
		sg, sgx = f.Sum(sg), f.Sum(sgx)
		invd := f.Fill(paramMem("invd"))
		f.Do(VMULPS, invd, sg, sg)
		f.Do(VMULPS, invd, sgx, sgx)
		f.Row("apply", d, func(i reg.GPVirtual, tail *simd.Tail) {
			xh, g, _ := hat(i, tail)
			f.Do(VSUBPS, sg, g, g)
			f.Do(VFNMADD231PS, xh, sgx, g)
			f.Do(VMULPS, rstd, g, g)
			f.Put(tail, g, Mem{Base: dx, Index: i, Scale: 4})
		})
		LEAQ(Mem{Base: dx, Index: d, Scale: 4}, dx)
		LEAQ(Mem{Base: dy, Index: d, Scale: 4}, dy)
		LEAQ(Mem{Base: x, Index: d, Scale: 4}, x)
		ADDQ(U8(4), meanP)
		ADDQ(U8(4), rstdP)
		DECQ(count)
		JNZ(LabelRef("rows"))
		f.Return()
	}
}
