//go:build asm

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/vec/simd"
)

const (
	m0, m1 = 0xD2511F53, 0xCD9E8D57
	w0, w1 = 0x9E3779B9, 0xBB67AE85
)

// laneIndex is 0..7, each in the low half of 64 bits: even lanes first and odd
// ones after for AVX2, whose two registers are merged by a shift and a blend;
// in order for AVX-512, which narrows them.
func laneIndex(f simd.Form) Mem {
	m := GLOBL("lanes"+f.Suffix, 8|16)
	order := []uint64{0, 2, 4, 6, 1, 3, 5, 7}
	if f.Wide {
		order = []uint64{0, 1, 2, 3, 4, 5, 6, 7}
	}
	for i, v := range order {
		DATA(8*i, U64(v))
	}
	return m
}

var lanes = map[bool]Mem{}

// philox returns the words of the eight counters that begin at block: the
// first vector holds words 0 and 2, the second words 1 and 3, eight lanes each.
//
// The state is kept in the low halves of 64-bit lanes, where VPMULUDQ reads it
// and ignores what lies above, so a product gives the new word twice: as it
// stands (low) and shifted by 32 (high).
func philox(f simd.Form, ctr reg.GPVirtual, block reg.GPVirtual) [2]simd.Vec {
	if _, ok := lanes[f.Wide]; !ok {
		lanes[f.Wide] = laneIndex(f)
	}
	spread := func(v simd.Vec, m Op) {
		for i := range v {
			VPBROADCASTD(m, v[i])
		}
	}
	var c [4]simd.Vec
	for i := range c {
		c[i] = f.Vec()
	}
	start := XMM()
	VMOVD(block, start)
	spread(c[0], start)
	f.Do(VPADDD, simd.At{Mem: lanes[f.Wide]}, c[0], c[0])
	for i := 1; i < 4; i++ {
		spread(c[i], Mem{Base: ctr, Disp: 4 * i})
	}
	key := [2]reg.VecVirtual{f.Part(), f.Part()}
	VPBROADCASTD(Mem{Base: ctr, Disp: 16}, key[0])
	VPBROADCASTD(Mem{Base: ctr, Disp: 20}, key[1])
	for round := range 10 {
		if round > 0 {
			VPADDD(simd.ConstBits(w0).Mem, key[0], key[0])
			VPADDD(simd.ConstBits(w1).Mem, key[1], key[1])
		}
		p0 := f.New(VPMULUDQ, simd.ConstBits(m0), c[0])
		p1 := f.New(VPMULUDQ, simd.ConstBits(m1), c[2])
		xor(f, key[0], c[1])
		xor(f, key[1], c[3])
		h0, h1 := c[0], c[2]
		f.Do(VPSRLQ, 32, p0, h0)
		f.Do(VPSRLQ, 32, p1, h1)
		xorVec(f, c[1], h1)
		xorVec(f, c[3], h0)
		c = [4]simd.Vec{h1, p1, h0, p0}
	}
	return [2]simd.Vec{gather(f, c[0], c[2]), gather(f, c[1], c[3])}
}

func xor(f simd.Form, k reg.VecVirtual, v simd.Vec) {
	for i := range v {
		if f.Wide {
			VPXORD(k, v[i], v[i])
		} else {
			VPXOR(k, v[i], v[i])
		}
	}
}

func xorVec(f simd.Form, a, v simd.Vec) {
	for i := range v {
		if f.Wide {
			VPXORD(a[i], v[i], v[i])
		} else {
			VPXOR(a[i], v[i], v[i])
		}
	}
}

// gather narrows two words of eight counters to one logical vector of a's
// eight lanes and b's.
func gather(f simd.Form, a, b simd.Vec) simd.Vec {
	out := f.Vec()
	if f.Wide {
		lo, hi := YMM(), YMM()
		VPMOVQD(a[0], lo)
		VPMOVQD(b[0], hi)
		VINSERTI64X4(U8(1), hi, lo.AsZ(), out[0])
		return out
	}
	for i, v := range []simd.Vec{a, b} {
		VPSLLQ(U8(32), v[1], v[1])
		VPBLENDD(U8(0xAA), v[1], v[0], out[i])
	}
	return out
}

// signs turns bit 31 of each word into ±1.
func signs(f simd.Form, x simd.Vec) simd.Vec {
	f.Do(VANDPS, simd.ConstBits(0x80000000), x, x)
	f.Do(VORPS, simd.Const(1), x, x)
	return x
}
