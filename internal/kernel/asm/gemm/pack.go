//go:build asm

package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/emit"
)

// piece is one load and store of a strip's row.
type piece struct {
	offset int // in values
	fresh  func(*build.Context) reg.VecVirtual
}

var (
	xmm = (*build.Context).XMM
	ymm = (*build.Context).YMM
)

// strips are the widths that panels have: of A (6, 14) and of B (16, 32). Pieces
// overlap where the width is no sum of vectors, so that nothing beyond the strip
// is touched. AVX is enough for all.
var strips = []struct {
	width  int
	pieces []piece
}{
	{6, []piece{{0, xmm}, {2, xmm}}},
	{14, []piece{{0, ymm}, {6, ymm}}},
	{16, []piece{{0, ymm}, {8, ymm}}},
	{32, []piece{{0, ymm}, {8, ymm}, {16, ymm}, {24, ymm}}},
}

// strip emits the copy of rows of so many values, ld apart, to one after the
// other.
func strip(c *build.Context, width int, pieces []piece) {
	name := fmt.Sprintf("copyStrip%d", width)
	emit.Function(c, name, fmt.Sprintf("%s copies rows of %d values, ld apart in src and adjacent in dst; rows ≥ 1.",
		name, width))
	c.SignatureExpr("func(dst *float32, src *float32, ld int, rows int)")
	dst, src, ld, rows := c.GP64(), c.GP64(), c.GP64(), c.GP64()
	c.Load(c.Param("dst"), dst)
	c.Load(c.Param("src"), src)
	c.Load(c.Param("ld"), ld)
	c.Load(c.Param("rows"), rows)
	c.SHLQ(operand.U8(2), ld)
	c.Label(name + "_row")
	for _, p := range pieces {
		v := p.fresh(c)
		c.VMOVUPS(operand.Mem{Base: src, Disp: 4 * p.offset}, v)
		c.VMOVUPS(v, operand.Mem{Base: dst, Disp: 4 * p.offset})
	}
	c.ADDQ(ld, src)
	c.ADDQ(operand.U32(4*width), dst)
	c.DECQ(rows)
	c.JNE(operand.LabelRef(name + "_row"))
	c.VZEROUPPER()
	c.RET()
}
