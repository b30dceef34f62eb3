//go:build asm

// Command vec generates the vector and attention kernels of internal/kernel:
//
//	go generate ./internal/kernel
package main

import (
	. "github.com/mmcloughlin/avo/build"

	"github.com/flops-vit/flops/internal/kernel/asm/vec/simd"
)

func main() {
	ConstraintExpr("amd64")
	for _, f := range simd.Forms {
		elementwise(f)
		dot(f)
		softmax(f)
		layerNorm(f)
		layerNormGrad(f)
		attention(f)
	}
	transpose()
	Generate()
}
