//go:build asm

package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/emit"
)

// The assembler has no names for the instructions of the tile unit, so that they are
// written as bytes (Intel 64 and IA-32 Architectures Software Developer's Manual,
// volume 2). Their registers are among the first eight.
const (
	ax = iota
	cx
	dx
	bx
	_
	_
	si
	di
)

// raw emits bytes.
func raw(c *build.Context, b ...int) {
	var s []string
	for _, v := range b {
		s = append(s, fmt.Sprintf("BYTE $0x%02x", v))
	}
	c.Instruction(&ir.Instruction{Opcode: strings.Join(s, "; ")})
}

// rows is the operand [base + row·index + disp] of 16 rows.
func rows(tile, base, index, disp int) []int {
	return []int{0x80 | tile<<3 | 4, index<<3 | base, disp & 255, disp >> 8 & 255, 0, 0}
}

func tileLoad(c *build.Context, tile, base, index, disp int) { // TILELOADD
	raw(c, append([]int{0xC4, 0xE2, 0x7B, 0x4B}, rows(tile, base, index, disp)...)...)
}

func tileStore(c *build.Context, tile, base, index, disp int) { // TILESTORED
	raw(c, append([]int{0xC4, 0xE2, 0x7A, 0x4B}, rows(tile, base, index, disp)...)...)
}

func tileProduct(c *build.Context, sum, a, b int) { // TDPBF16PS
	raw(c, 0xC4, 0xE2, (^b&15)<<3|2, 0x5C, 0xC0|sum<<3|a)
}

// amxPanel emits blocks of 32 rows by a panel: four tiles of sums, which begin as the
// bias (one row, sixteen times), or as what stands there. The unit is configured and
// released here, so that no goroutine is moved while it holds anything, and nothing
// of it is left for the system to save.
func amxPanel(c *build.Context) {
	emit.Function(c, "halfAMX", "halfAMX computes blocks of 32 rows of a panel by the tile unit.")
	emit.On(c, "halfArgs")
	c.Load(c.Param("t"), reg.R8)
	c.MOVQ(at(reg.R8, argConfig), reg.RAX)
	raw(c, 0xC4, 0xE2, 0x78, 0x49, 0x00) // LDTILECFG [AX]
	c.MOVQ(at(reg.R8, argA), reg.R9)
	c.MOVQ(at(reg.R8, argC), reg.RBX)
	c.MOVQ(at(reg.R8, argCount), reg.R10)
	c.MOVQ(operand.U32(64), reg.RDX)
	c.Label("block")
	c.MOVQ(reg.R9, reg.RSI)
	c.MOVQ(at(reg.R8, argB), reg.RDI)
	c.MOVQ(at(reg.R8, argSteps), reg.R12)
	c.MOVQ(at(reg.R8, argBias), reg.RAX)
	c.TESTQ(reg.RAX, reg.RAX)
	c.JE(operand.LabelRef("go_on"))
	c.XORQ(reg.RCX, reg.RCX)
	for i := range 4 {
		tileLoad(c, i, ax, cx, 64*(i%2))
	}
	c.MOVQ(operand.U32(panelBytes), reg.RCX)
	c.JMP(operand.LabelRef("step"))
	c.Label("go_on")
	c.MOVQ(operand.U32(panelBytes), reg.RCX)
	for i := range 4 {
		tileLoad(c, i, bx, cx, 64*(i%2)+16*panelBytes*(i/2))
	}
	c.Label("step")
	const a, b = 4, 6 // the first of two tiles
	tileLoad(c, a, si, dx, 0)
	tileLoad(c, b, di, dx, 0)
	tileLoad(c, a+1, si, dx, tileBytes)
	tileLoad(c, b+1, di, dx, tileBytes)
	tileProduct(c, 0, a, b)
	tileProduct(c, 2, a+1, b)
	tileProduct(c, 1, a, b+1)
	tileProduct(c, 3, a+1, b+1)
	c.ADDQ(operand.U32(stepBytes), reg.RSI)
	c.ADDQ(operand.U32(stepBytes), reg.RDI)
	c.DECQ(reg.R12)
	c.JNE(operand.LabelRef("step"))
	for i := range 4 {
		tileStore(c, i, bx, cx, 64*(i%2)+16*panelBytes*(i/2))
	}
	c.ADDQ(at(reg.R8, argTileStep), reg.R9)
	c.ADDQ(operand.U32(32*panelBytes), reg.RBX)
	c.DECQ(reg.R10)
	c.JNE(operand.LabelRef("block"))
	raw(c, 0xC4, 0xE2, 0x78, 0x49, 0xC0) // TILERELEASE
	c.RET()
}

// packTile emits the rounding of 16 rows into tiles, by VCVTNE2PS2BF16.
func packTile(c *build.Context) {
	emit.Function(c, "packHalfTile", "packHalfTile rounds 16 rows of 32·steps values, ld apart, into a tile "+
		"of each step, 2048 bytes apart.")
	c.SignatureExpr("func(dst *uint16, src *float32, ld int, steps int)")
	c.Load(c.Param("dst"), reg.RDI)
	c.Load(c.Param("src"), reg.RSI)
	c.Load(c.Param("ld"), reg.RCX)
	c.Load(c.Param("steps"), reg.RDX)
	c.SHLQ(operand.U8(2), reg.RCX)
	c.MOVQ(operand.U32(16), reg.R8)
	c.Label("row")
	c.MOVQ(reg.RSI, reg.RAX)
	c.MOVQ(reg.RDI, reg.RBX)
	c.MOVQ(reg.RDX, reg.R9)
	c.Label("values")
	roundStep(c, reg.RAX)
	c.VMOVUPS(reg.Z0, at(reg.RBX, 0))
	c.ADDQ(operand.U32(128), reg.RAX)
	c.ADDQ(operand.U32(stepBytes), reg.RBX)
	c.DECQ(reg.R9)
	c.JNE(operand.LabelRef("values"))
	c.ADDQ(reg.RCX, reg.RSI)
	c.ADDQ(operand.U32(pairBytes), reg.RDI)
	c.DECQ(reg.R8)
	c.JNE(operand.LabelRef("row"))
	c.VZEROUPPER()
	c.RET()
}

// roundStep emits the rounding of 32 values to Z0.
func roundStep(c *build.Context, src reg.Register) {
	c.VMOVUPS(at(src, 0), reg.Z1)
	c.VMOVUPS(at(src, 64), reg.Z2)
	raw(c, 0x62, 0xF2, 0x6F, 0x48, 0x72, 0xC1) // VCVTNE2PS2BF16 Z0 of Z2 (high) and Z1
}
