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
	next := 0
	return form{"BF16", 6, 64, func(*build.Context) reg.Register {
		next++
		return vectorsOf512[next-1]
	}, 1, pairs / 2, 32, 64, true}
}

var vectorsOf512 = [32]reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9,
	reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22,
	reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31}

// number of a register.
func number(v reg.Register) int { return int(reg.ToPhysical(v).PhysicalIndex()) }

// product emits sum += a·b of pairs (VDPBF16PS).
func product(c *build.Context, sum, a, b reg.Register) {
	s, x, y := number(sum), number(a), number(b)
	not := func(v, bit int) int { return ^v >> bit & 1 }
	raw(c, 0x62, not(s, 3)<<7|not(y, 4)<<6|not(y, 3)<<5|not(s, 4)<<4|2, (^x&15)<<3|6, 0x40|not(x, 4)<<3, 0x52,
		0xC0|s&7<<3|y&7)
}

// doubles adds the products of the i-th pair of even k (part 0) or of odd k.
func (k *kernel) doubles(i, part int) {
	i += part * pairs / 2
	for v, w := range k.weights {
		k.VMOVUPS(at(k.b, i*pairBytes+v*tileBytes), w)
	}
	for r := range k.rows {
		x := k.factors[r]
		k.VBROADCASTSS(operand.Mem{Base: k.row[r], Index: k.off, Scale: 1, Disp: 4 * i}, x)
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
		c.VMOVUPS(operand.Mem{Base: p.(reg.GPVirtual), Disp: i * pairBytes}, v[i])
	}
	for i := range pairs / 2 {
		even, odd := c.ZMM(), c.ZMM()
		c.VPSLLD(operand.U8(16), v[2*i], even)
		c.VMOVDQU16(v[2*i+1], mask, even)
		c.VPSRLD(operand.U8(16), v[2*i+1], odd)
		c.VPBLENDMW(odd, v[2*i], mask, odd)
		c.VMOVUPS(even, operand.Mem{Base: p.(reg.GPVirtual), Disp: i * pairBytes})
		c.VMOVUPS(odd, operand.Mem{Base: p.(reg.GPVirtual), Disp: (i + pairs/2) * pairBytes})
	}
	c.VZEROUPPER()
	c.RET()
}
