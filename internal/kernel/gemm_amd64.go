package kernel

import "golang.org/x/sys/cpu"

//go:generate go run ./asm/gemm -out gemm_amd64.s -stubs gemm_stubs_amd64.go -pkg kernel

// vectorEngines are the engines with micro-kernels that this processor claims
// to run, best first.
func vectorEngines() []*engine {
	var list []*engine
	avx2 := cpu.X86.HasAVX2 && cpu.X86.HasFMA
	if avx2 && cpu.X86.HasAVX512F {
		list = append(list, avx512Engine)
	}
	if avx2 {
		list = append(list, avx2Engine)
	}
	return list
}

var avx2Engine = &engine{
	name: "avx2", detail: "6x16", mr: 6, nr: 16, mc: 144, kc: 256, nc: 256,
	tile: []tileFunc{nil, tile1x16AVX2, tile2x16AVX2, tile3x16AVX2, tile4x16AVX2, tile5x16AVX2, tile6x16AVX2},
}

var avx512Engine = &engine{
	name: "avx512", detail: "14x32", mr: 14, nr: 32, mc: 168, kc: 256, nc: 256,
	tile: []tileFunc{nil, tile1x32AVX512, tile2x32AVX512, tile3x32AVX512, tile4x32AVX512, tile5x32AVX512,
		tile6x32AVX512, tile7x32AVX512, tile8x32AVX512, tile9x32AVX512, tile10x32AVX512, tile11x32AVX512,
		tile12x32AVX512, tile13x32AVX512, tile14x32AVX512},
}
