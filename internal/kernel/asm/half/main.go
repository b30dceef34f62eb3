// Command half generates the kernels of products in bf16 of internal/kernel:
//
//	go generate ./internal/kernel
package main

import (
	"flag"
	"go/token"
	"go/types"
	"os"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
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
	c := build.NewContext()
	set := flag.NewFlagSet("half", flag.ExitOnError)
	flags := build.NewFlags(set)
	if err := set.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	c.ConstraintExpr("amd64")
	tile(c, avx2)
	tile(c, avx512)
	roundRows(c)
	packPairs(c)
	storeStrip(c)
	amxPanel(c)
	packTile(c)
	xgetbv(c)
	os.Exit(build.Main(flags.Config(), c))
}

// function begins a function without a frame.
func function(c *build.Context, name, doc string) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.Doc(doc)
}

// onArgs is func(t *halfArgs), spelled out because the package that declares
// halfArgs does not compile before its kernels are generated.
func onArgs(c *build.Context) {
	pkg := types.NewPackage("github.com/flops-vit/flops/internal/kernel", "kernel")
	args := types.NewNamed(types.NewTypeName(token.NoPos, pkg, "halfArgs", nil), types.NewStruct(nil, nil), nil)
	t := types.NewVar(token.NoPos, pkg, "t", types.NewPointer(args))
	c.Signature(gotypes.NewSignature(pkg, types.NewSignatureType(nil, nil, nil, types.NewTuple(t), nil, false)))
}

func at(base reg.Register, disp int) operand.Mem { return operand.Mem{Base: base, Disp: disp} }

// xgetbv emits the reading of what the system saves of a processor's state.
func xgetbv(c *build.Context) {
	function(c, "halfXGETBV", "halfXGETBV is the low half of XCR0: what the system saves of a thread's registers.")
	c.SignatureExpr("func() uint32")
	c.XORL(reg.ECX, reg.ECX)
	c.XGETBV()
	c.Store(reg.EAX, c.ReturnIndex(0))
	c.RET()
}
