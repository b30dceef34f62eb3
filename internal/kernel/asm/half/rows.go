//go:build asm

package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/emit"
)

// broadcast sets a vector to one number's bits.
func broadcast(c *build.Context, bits uint32, v reg.Register) {
	g, x := c.GP32(), c.XMM()
	c.MOVL(operand.U32(bits), g)
	c.VMOVD(g, x)
	c.VPBROADCASTD(x, v)
}

// rounding rounds vectors of float32 to the numbers that bf16 has: to the nearest, ties
// to even, numbers below the normal ones to zero, and what is no number to a quiet one.
type rounding struct {
	*build.Context
	high, exp, abs, half, quiet, zero reg.VecVirtual
}

func newRounding(c *build.Context) *rounding {
	of := func(bits uint32) reg.VecVirtual {
		v := c.YMM()
		broadcast(c, bits, v)
		return v
	}
	r := &rounding{c, of(odd), of(0x7f800000), of(0x7fffffff), of(0x7fff), of(0x00400000), c.YMM()}
	c.VPXOR(r.zero, r.zero, r.zero)
	return r
}

// round is the rounded v in the upper half of each value; the lower one is anything.
func (c *rounding) round(v reg.VecVirtual) reg.VecVirtual {
	r, t, u := c.YMM(), c.YMM(), c.YMM()
	c.VPSLLD(operand.U8(15), v, r) // the bit that decides a tie
	c.VPSRLD(operand.U8(31), r, r)
	c.VPADDD(c.half, r, r)
	c.VPADDD(v, r, r)
	c.VPAND(v, c.exp, t)
	c.VPCMPEQD(c.zero, t, t)
	c.VPANDN(v, c.abs, u) // the sign alone
	c.VBLENDVPS(t, u, r, r)
	c.VPAND(v, c.abs, u)
	c.VPCMPGTD(c.exp, u, t)
	c.VPOR(v, c.quiet, u)
	c.VBLENDVPS(t, u, r, r)
	return r
}

// roundRows emits the rounding of values that stay float32.
func roundRows(c *build.Context) {
	emit.Function(c, "roundHalfAVX2", "roundHalfAVX2 rounds n values of x to bf16, n a multiple of 8; dst may be x.")
	c.SignatureExpr("func(dst *float32, x *float32, n int)")
	dst, src, n := c.GP64(), c.GP64(), c.GP64()
	c.Load(c.Param("dst"), dst)
	c.Load(c.Param("x"), src)
	c.Load(c.Param("n"), n)
	r := newRounding(c)
	c.Label("round")
	v := c.YMM()
	c.VMOVUPS(at(src, 0), v)
	x := r.round(v)
	c.VPAND(r.high, x, x)
	c.VMOVUPS(x, at(dst, 0))
	c.ADDQ(operand.U8(32), src)
	c.ADDQ(operand.U8(32), dst)
	c.SUBQ(operand.U8(8), n)
	c.JNE(operand.LabelRef("round"))
	c.VZEROUPPER()
	c.RET()
}

// packPairs emits the rounding of pairs of rows of 16 values, whose values stand
// together then.
func packPairs(c *build.Context) {
	emit.Function(c, "packPairsAVX2", "packPairsAVX2 rounds pairs of rows of 16 values, ld apart, into a tile; "+
		"pairs ≥ 1.")
	c.SignatureExpr("func(dst *uint16, src *float32, ld int, pairs int)")
	dst, src, ld, pairs := c.GP64(), c.GP64(), c.GP64(), c.GP64()
	c.Load(c.Param("dst"), dst)
	c.Load(c.Param("src"), src)
	c.Load(c.Param("ld"), ld)
	c.Load(c.Param("pairs"), pairs)
	c.SHLQ(operand.U8(2), ld)
	r := newRounding(c)
	c.Label("pair")
	for i := range 2 {
		even, odd := c.YMM(), c.YMM()
		c.VMOVUPS(at(src, 32*i), even)
		c.VMOVUPS(operand.Mem{Base: src, Index: ld, Scale: 1, Disp: 32 * i}, odd)
		x, y := r.round(even), r.round(odd)
		c.VPAND(r.high, y, y)
		c.VPSRLD(operand.U8(16), x, x)
		c.VPOR(x, y, y)
		c.VMOVUPS(y, at(dst, 32*i))
	}
	c.LEAQ(operand.Mem{Base: src, Index: ld, Scale: 2}, src)
	c.ADDQ(operand.U8(pairBytes), dst)
	c.DECQ(pairs)
	c.JNE(operand.LabelRef("pair"))
	c.VZEROUPPER()
	c.RET()
}

// storeStrip emits the way of a panel's sums to their rows.
func storeStrip(c *build.Context) {
	emit.Function(c, "storeStripAVX2", "storeStripAVX2 copies rows of 32 values to rows ldd apart, and adds those of res.")
	c.SignatureExpr("func(dst *float32, ldd int, src *float32, res *float32, ldr int, rows int)")
	var p [6]reg.GPVirtual
	for i, name := range []string{"dst", "ldd", "src", "res", "ldr", "rows"} {
		p[i] = c.GP64()
		c.Load(c.Param(name), p[i])
	}
	dst, ldd, src, res, ldr, rows := p[0], p[1], p[2], p[3], p[4], p[5]
	c.SHLQ(operand.U8(2), ldd)
	c.SHLQ(operand.U8(2), ldr)
	c.TESTQ(res, res)
	c.JNE(operand.LabelRef("added"))
	move := func(label string, add bool) {
		c.Label(label)
		for i := range panelBytes / 32 {
			v := c.YMM()
			c.VMOVUPS(at(src, 32*i), v)
			if add {
				c.VADDPS(at(res, 32*i), v, v)
			}
			c.VMOVUPS(v, at(dst, 32*i))
		}
		c.ADDQ(operand.U32(panelBytes), src)
		c.ADDQ(ldd, dst)
		if add {
			c.ADDQ(ldr, res)
		}
		c.DECQ(rows)
		c.JNE(operand.LabelRef(label))
		c.VZEROUPPER()
		c.RET()
	}
	move("plain", false)
	move("added", true)
}
