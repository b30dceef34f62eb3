//go:build asm

// Command gemm generates the micro-kernels of the matrix product and the packing
// kernels of internal/kernel:
//
//	go generate ./internal/kernel
package main

import (
	"github.com/mmcloughlin/avo/build"

	"github.com/flops-vit/flops/internal/kernel/asm/emit"
)

func main() {
	emit.Main("gemm", func(c *build.Context) {
		for rows := 1; rows <= 6; rows++ {
			tile(c, avx2, rows)
		}
		for rows := 1; rows <= 14; rows++ {
			tile(c, avx512, rows)
		}
		for _, s := range strips {
			strip(c, s.width, s.pieces)
		}
	})
}
