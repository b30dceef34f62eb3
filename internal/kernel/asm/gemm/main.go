// Command gemm generates the micro-kernels of the matrix product and the packing
// kernels of internal/kernel:
//
//	go generate ./internal/kernel
package main

import (
	"flag"
	"os"

	"github.com/mmcloughlin/avo/build"
)

func main() {
	// A context of our own, since the global one cannot set a signature of a
	// type that is declared elsewhere.
	c := build.NewContext()
	set := flag.NewFlagSet("gemm", flag.ExitOnError)
	flags := build.NewFlags(set)
	if err := set.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	c.ConstraintExpr("amd64")
	for rows := 1; rows <= 6; rows++ {
		tile(c, avx2, rows)
	}
	for rows := 1; rows <= 14; rows++ {
		tile(c, avx512, rows)
	}
	for _, s := range strips {
		strip(c, s.width, s.pieces)
	}
	os.Exit(build.Main(flags.Config(), c))
}
