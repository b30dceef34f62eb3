//go:build asm

package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/emit"
)

// VDPBF16PS adds the products of a pair of bf16 to each sum: the upper one first, each
// with one rounding, numbers below the normal ones zero. The tile unit sums the even and
// the odd products of a step apart. Where a pair is of two even k, or of two odd ones,
// the first of them above, the sums are the same to the last bit.

// doublesForm is the form of this instruction. Its registers are given out in order, since
// the assembler has no name for it.
func doublesForm() form {
	next := reg.Index(0)
	return form{"BF16", 6, 64, func(*build.Context) reg.Register {
		next++
		return reg.Vector.Lookup(next-1, reg.S512)
	}, pairs, 4, true}
}

// number of a register.
func number(v reg.Register) int { return int(reg.ToPhysical(v).PhysicalIndex()) }

// product emits sum += a·b of pairs (VDPBF16PS).
func product(c *build.Context, sum, a, b reg.Register) {
	s, x, y := number(sum), number(a), number(b)
	not := func(v, bit int) int { return ^v >> bit & 1 }
	raw(c, 0x62, not(s, 3)<<7|not(y, 4)<<6|not(y, 3)<<5|not(s, 4)<<4|2, (^x&15)<<3|6, 0x40|not(x, 4)<<3, 0x52,
		0xC0|s&7<<3|y&7)
}

// doubles adds the products of a pair: for even i of the next of even k, for odd i of odd k.
func (k *kernel) doubles(i int) {
	part := i % 2
	i = i/2 + part*pairs/2
	for v, w := range k.weights {
		k.VMOVUPS(at(k.b, i*pairBytes+v*tileBytes), w)
	}
	for r := range k.rows {
		x := k.factors[r]
		k.VBROADCASTSS(operand.Mem{Base: k.row[r], Index: k.off, Scale: 1, Disp: k.pairA * i}, x)
		for v, w := range k.weights {
			product(k.Context, k.sums[part][r][v], w, x)
		}
	}
}

// packDoubles emits the rounding of rows whose pairs are apart.
func packDoubles(c *build.Context) {
	emit.Function(c, "roundPairsApart", "roundPairsApart rounds rows of 32·steps values, ld apart, to adjacent rows, "+
		"a step's values by the numbers of order.")
	c.SignatureExpr("func(dst *uint16, src *float32, ld int, steps int, rows int, order *[32]uint16)")
	c.Load(c.Param("dst"), reg.RDI)
	c.Load(c.Param("src"), reg.RSI)
	c.Load(c.Param("ld"), reg.RCX)
	c.Load(c.Param("steps"), reg.RDX)
	c.Load(c.Param("rows"), reg.R8)
	c.Load(c.Param("order"), reg.R9)
	c.VMOVUPS(at(reg.R9, 0), reg.Z3)
	c.SHLQ(operand.U8(2), reg.RCX)
	c.Label("row")
	c.MOVQ(reg.RSI, reg.RAX)
	c.MOVQ(reg.RDX, reg.R9)
	c.Label("values")
	roundStep(c, reg.RAX)
	c.VPERMW(reg.Z0, reg.Z3, reg.Z0)
	c.VMOVUPS(reg.Z0, at(reg.RDI, 0))
	c.ADDQ(operand.U32(128), reg.RAX)
	c.ADDQ(operand.U32(64), reg.RDI)
	c.DECQ(reg.R9)
	c.JNE(operand.LabelRef("values"))
	c.ADDQ(reg.RCX, reg.RSI)
	c.DECQ(reg.R8)
	c.JNE(operand.LabelRef("row"))
	c.VZEROUPPER()
	c.RET()
}

// pairsApart emits the other order of a tile's pairs.
func pairsApart(c *build.Context) {
	emit.Function(c, "tilePairsApart", "tilePairsApart makes pairs of even k, then pairs of odd k, of the pairs of "+
		"adjacent k of a tile.")
	c.SignatureExpr("func(tile *uint16)")
	p, low, mask := c.Load(c.Param("tile"), c.GP64()), c.GP32(), c.K()
	c.MOVL(operand.U32(0x55555555), low)
	c.KMOVD(low, mask)
	var v [pairs]reg.VecVirtual
	for i := range v {
		v[i] = c.ZMM()
		c.VMOVUPS(at(p, i*pairBytes), v[i])
	}
	for i := range pairs / 2 {
		even, odd := c.ZMM(), c.ZMM()
		c.VPSLLD(operand.U8(16), v[2*i], even)
		c.VMOVDQU16(v[2*i+1], mask, even)
		c.VPSRLD(operand.U8(16), v[2*i+1], odd)
		c.VPBLENDMW(odd, v[2*i], mask, odd)
		c.VMOVUPS(even, at(p, i*pairBytes))
		c.VMOVUPS(odd, at(p, (i+pairs/2)*pairBytes))
	}
	c.VZEROUPPER()
	c.RET()
}
