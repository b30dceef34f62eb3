package kernel

import "github.com/flops-vit/flops/noise/isa"

//go:generate go run -tags asm ./asm/vec -out vec_amd64.s -stubs vec_stubs_amd64.go -pkg kernel

// Instruction sets of the vector kernels.
const (
	vecPortable = isa.Portable
	vecAVX2     = isa.AVX2
	vecAVX512   = isa.AVX512
)

// vecLevel is the level of this process; tests lower it.
var vecLevel = isa.Current()

func expVec(dst, x []float32) {
	if len(dst) == 0 {
		return
	}
	switch vecLevel {
	case vecAVX512:
		expAVX512(&dst[0], &x[0], len(dst))
	case vecAVX2:
		expAVX2(&dst[0], &x[0], len(dst))
	default:
		expGeneric(dst, x)
	}
}

func geluVec(dst, x []float32) {
	if len(dst) == 0 {
		return
	}
	switch vecLevel {
	case vecAVX512:
		geluAVX512(&dst[0], &x[0], len(dst))
	case vecAVX2:
		geluAVX2(&dst[0], &x[0], len(dst))
	default:
		geluGeneric(dst, x)
	}
}

func geluGradVec(dst, x, dy []float32) {
	if len(dst) == 0 {
		return
	}
	switch vecLevel {
	case vecAVX512:
		geluGradAVX512(&dst[0], &x[0], &dy[0], len(dst))
	case vecAVX2:
		geluGradAVX2(&dst[0], &x[0], &dy[0], len(dst))
	default:
		geluGradGeneric(dst, x, dy)
	}
}

func addVec(dst, a, b []float32) {
	if len(dst) == 0 {
		return
	}
	switch vecLevel {
	case vecAVX512:
		addAVX512(&dst[0], &a[0], &b[0], len(dst))
	case vecAVX2:
		addAVX2(&dst[0], &a[0], &b[0], len(dst))
	default:
		addGeneric(dst, a, b)
	}
}

func subVec(dst, a, b []float32) {
	if len(dst) == 0 {
		return
	}
	switch vecLevel {
	case vecAVX512:
		subAVX512(&dst[0], &a[0], &b[0], len(dst))
	case vecAVX2:
		subAVX2(&dst[0], &a[0], &b[0], len(dst))
	default:
		subGeneric(dst, a, b)
	}
}

func axpyVec(dst []float32, alpha float32, x []float32) {
	if len(dst) == 0 {
		return
	}
	switch vecLevel {
	case vecAVX512:
		axpyAVX512(&dst[0], alpha, &x[0], len(dst))
	case vecAVX2:
		axpyAVX2(&dst[0], alpha, &x[0], len(dst))
	default:
		axpyGeneric(dst, alpha, x)
	}
}

func scaleVec(dst []float32, alpha float32) {
	if len(dst) == 0 {
		return
	}
	switch vecLevel {
	case vecAVX512:
		scaleAVX512(&dst[0], alpha, len(dst))
	case vecAVX2:
		scaleAVX2(&dst[0], alpha, len(dst))
	default:
		scaleGeneric(dst, alpha)
	}
}

func dotVec(a, b []float32) float32 {
	if len(a) == 0 {
		return 0
	}
	switch vecLevel {
	case vecAVX512:
		return dotAVX512(&a[0], &b[0], len(a))
	case vecAVX2:
		return dotAVX2(&a[0], &b[0], len(a))
	}
	return dotGeneric(a, b)
}
