//go:build asm

package main

import (
	. "github.com/mmcloughlin/avo/build"

	"github.com/flops-vit/flops/internal/kernel/asm/vec/simd"
)

// The coefficients and the order of operations are those of boxMuller in the
// noise package, which the tests hold this against.
var (
	logC = []float32{0.3333333134651184, -0.2500081956386566, 0.20001226663589478, -0.16623356938362122,
		0.14201761782169342, -0.13160185515880585, 0.12761561572551727, -0.07634472846984863}
	sinC = []float32{6.2831854820251465, -41.3416633605957, 81.59235382080078, -75.39356994628906}
	cosC = []float32{1, -19.739208221435547, 64.93932342529297, -85.44324493408203, 59.22028732299805}
)

const sqrtHalf = 0x3F3504F3

func boxMuller(f simd.Form, a, b simd.Vec) (first, second simd.Vec) {
	rho := radius(f, a)
	// q = (b + 2^29)>>30; its bits move to the sign position as they are needed.
	phi := f.New(VPSLLD, 2, b)
	f.Do(VPSRAD, 11, phi, phi)
	f.Do(VCVTDQ2PS, phi, phi)
	half := f.Load(simd.Const(1.0 / (1 << 24)).Mem)
	f.Do(VFMADD132PS, simd.Const(1.0/(1<<23)), half, phi)
	t := f.New(VMULPS, phi, phi)
	s := f.Horner(t, sinC)
	f.Do(VMULPS, phi, s, s)
	c := f.Horner(t, cosC)
	q := b
	f.Do(VPADDD, simd.ConstBits(1<<29), q, q)
	odd := f.New(VPSLLD, 1, q)
	first, second = f.Select(odd, c, s), f.Select(odd, s, c)
	f.Do(VXORPS, q, odd, odd)
	f.Do(VANDPS, simd.ConstBits(0x80000000), q, q)
	f.Do(VANDPS, simd.ConstBits(0x80000000), odd, odd)
	f.Do(VXORPS, odd, first, first)
	f.Do(VXORPS, q, second, second)
	f.Do(VMULPS, rho, first, first)
	f.Do(VMULPS, rho, second, second)
	return first, second
}

// radius is √(−2 ln u) of the words a. The polynomial goes by pairs (Estrin),
// and everything is scaled by −2, so that few operations wait for each other.
func radius(f simd.Form, a simd.Vec) simd.Vec {
	u := a
	f.Do(VPSRLD, 9, u, u)
	f.Do(VCVTDQ2PS, u, u)
	half := f.Load(simd.Const(1.0 / (1 << 24)).Mem)
	f.Do(VFMADD132PS, simd.Const(1.0/(1<<23)), half, u)
	f.Do(VPSUBD, simd.ConstBits(sqrtHalf), u, u)
	e := f.New(VPSRAD, 23, u)
	m := f.New(VPSLLD, 23, e)
	f.Do(VPSUBD, m, u, m)
	f.Do(VPADDD, simd.ConstBits(sqrtHalf), m, m)
	f.Do(VSUBPS, simd.Const(1), m, m)
	f.Do(VCVTDQ2PS, e, e)
	pair := func(i int) simd.Vec {
		v := f.Load(simd.Const(logC[i+1]).Mem)
		f.Do(VFMADD213PS, simd.Const(logC[i]), m, v)
		return v
	}
	z := f.New(VMULPS, m, m)
	hi := pair(6)
	f.Do(VFMADD213PS, pair(4), z, hi)
	lo := pair(2)
	f.Do(VFMADD213PS, pair(0), z, lo)
	zz := f.New(VMULPS, z, z)
	f.Do(VFMADD231PS, hi, zz, lo)
	f.Do(VMULPS, simd.Const(-2), m, m)
	y := f.New(VMULPS, simd.Const(2*2.12194440e-4), e)
	f.Do(VADDPS, z, y, y)
	f.Do(VMULPS, m, z, z)
	f.Do(VFMADD231PS, z, lo, y)
	f.Do(VFMADD231PS, simd.Const(-2*0.693359375), e, m)
	f.Do(VADDPS, m, y, y)
	f.Do(VSQRTPS, y, y)
	return y
}
