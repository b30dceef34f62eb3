//go:build asm

// Command half generates the kernels of products in bf16 of internal/kernel:
//
//	go generate ./internal/kernel
package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/emit"
)

// Offsets in halfArgs.
const (
	argConfig = 8 * iota
	argA
	argB
	argC
	argBias
	argSteps
	argCount
	argTileStep
	argRowStride
	argMode
	argOldMode
)

const (
	panelBytes = 32 * 4     // a row of the sums of a panel
	stepBytes  = 2048       // 32 of k by the 32 columns of a panel: two tiles
	tileBytes  = 1024       // 16 pairs of k by 16 columns
	pairBytes  = 64         // a pair of k by 16 columns
	pairs      = 16         // in a step
	odd        = 0xffff0000 // the upper value of a pair, where float32 has it
)

func main() {
	emit.Main("half", func(c *build.Context) {
		tile(c, avx2)
		tile(c, avx512)
		tile(c, doublesForm())
		roundRows(c)
		packPairs(c)
		storeStrip(c)
		amxPanel(c)
		packTile(c)
		packDoubles(c)
		pairsApart(c)
		xgetbv(c)
	})
}

func at(base reg.Register, disp int) operand.Mem { return operand.Mem{Base: base, Disp: disp} }

// xgetbv emits the reading of what the system saves of a processor's state.
func xgetbv(c *build.Context) {
	emit.Function(c, "halfXGETBV", "halfXGETBV is the low half of XCR0: what the system saves of a thread's registers.")
	c.SignatureExpr("func() uint32")
	c.XORL(reg.ECX, reg.ECX)
	c.XGETBV()
	c.Store(reg.EAX, c.ReturnIndex(0))
	c.RET()
}
