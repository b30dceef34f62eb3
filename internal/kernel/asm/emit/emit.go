//go:build asm

// Package emit is what the generators of the kernels of matrix products have in common.
package emit

import (
	"flag"
	"go/token"
	"go/types"
	"os"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
)

// Main is a generator: what all emits is written where the command line says. It has a
// context of its own, since the global one cannot set a signature of a type that is
// declared elsewhere.
func Main(name string, all func(c *build.Context)) {
	c := build.NewContext()
	set := flag.NewFlagSet(name, flag.ExitOnError)
	flags := build.NewFlags(set)
	if err := set.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	c.ConstraintExpr("amd64")
	all(c)
	os.Exit(build.Main(flags.Config(), c))
}

// Function begins a function without a frame.
func Function(c *build.Context, name, doc string) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.Doc(doc)
}

// On makes the function func(t *args) of a type of package kernel, spelled out because
// the package that declares it does not compile before its kernels are generated.
func On(c *build.Context, args string) {
	pkg := types.NewPackage("github.com/flops-vit/flops/internal/kernel", "kernel")
	named := types.NewNamed(types.NewTypeName(token.NoPos, pkg, args, nil), types.NewStruct(nil, nil), nil)
	t := types.NewVar(token.NoPos, pkg, "t", types.NewPointer(named))
	c.Signature(gotypes.NewSignature(pkg, types.NewSignatureType(nil, nil, nil, types.NewTuple(t), nil, false)))
}
