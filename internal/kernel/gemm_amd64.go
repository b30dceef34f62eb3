package kernel

import "golang.org/x/sys/cpu"

//go:generate go run -tags asm ./asm/gemm -out gemm_amd64.s -stubs gemm_stubs_amd64.go -pkg kernel
//go:generate go run -tags asm ./asm/half -out half_amd64.s -stubs half_stubs_amd64.go -pkg kernel

var haveAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA

// vectorEngines are the engines with micro-kernels that this processor claims
// to run, best first.
func vectorEngines() []*engine {
	var list []*engine
	if haveAVX2 && cpu.X86.HasAVX512F {
		list = append(list, avx512Engine)
	}
	if haveAVX2 {
		list = append(list, avx2Engine)
	}
	return list
}

// blockK is the most of k that is summed before it goes to C. It decides the bits of
// a sum, so that both engines have the same.
const blockK = 256

var avx2Engine = &engine{
	name: "avx2", detail: "6x16", mr: 6, nr: 16, mc: 96, kc: blockK, nc: 512,
	tile: []tileFunc{nil, tile1x16AVX2, tile2x16AVX2, tile3x16AVX2, tile4x16AVX2, tile5x16AVX2, tile6x16AVX2},
}

var avx512Engine = &engine{
	name: "avx512", detail: "14x32", mr: 14, nr: 32, mc: 168, kc: blockK, nc: 512,
	tile: []tileFunc{nil, tile1x32AVX512, tile2x32AVX512, tile3x32AVX512, tile4x32AVX512, tile5x32AVX512,
		tile6x32AVX512, tile7x32AVX512, tile8x32AVX512, tile9x32AVX512, tile10x32AVX512, tile11x32AVX512,
		tile12x32AVX512, tile13x32AVX512, tile14x32AVX512},
}

// transposeBlock is transpose for the leading whole blocks of 8×8, by vectors;
// it says how many rows and columns that is.
func transposeBlock(dst []float32, ldd int, x []float32, ldx, rows, cols int) (doneRows, doneCols int) {
	rows, cols = rows&^7, cols&^7
	if !haveAVX2 || rows == 0 || cols == 0 {
		return 0, 0
	}
	for i := 0; i < rows; i += 8 {
		transpose8AVX2(&dst[i], ldd, &x[i*ldx], ldx, cols, 1)
	}
	return rows, cols
}

// copyStrip copies rows of width values, ld apart in src, to adjacent rows of
// dst, by vectors; it reports false if it has no kernel for the width.
func copyStrip(dst, src []float32, ld, width, rows int) bool {
	if !haveAVX2 || rows == 0 {
		return false
	}
	switch width {
	case 6:
		copyStrip6(&dst[0], &src[0], ld, rows)
	case 14:
		copyStrip14(&dst[0], &src[0], ld, rows)
	case 16:
		copyStrip16(&dst[0], &src[0], ld, rows)
	case 32:
		copyStrip32(&dst[0], &src[0], ld, rows)
	default:
		return false
	}
	return true
}
