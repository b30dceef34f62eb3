package kernel

import (
	"math"
	"math/rand"
	"testing"

	"github.com/flops-vit/flops/noise/isa"
)

// eachLevel runs f on the portable path and on every vector path that this
// processor has.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	best := vecLevel
	defer func() { vecLevel = best }()
	for level, name := range []string{"portable", "avx2", "avx512"}[:best+1] {
		vecLevel = isa.Level(level)
		t.Run(name, f)
	}
}

// TestInstructionSetsAgree holds AVX-512 to the bits of AVX2 in every kernel,
// reductions included, at lengths on both sides of a whole vector.
func TestInstructionSetsAgree(t *testing.T) {
	best := vecLevel
	defer func() { vecLevel = best }()
	if best < vecAVX512 {
		t.Skip("this processor has no AVX-512")
	}
	for n := 1; n < 150; n++ {
		r := rand.New(rand.NewSource(int64(n)))
		x, y, g := randn(r, 3*n), randn(r, 3*n), randn(r, n)
		run := func() (out []float32) {
			for _, f := range []func(d []float32){
				func(d []float32) { Exp(d, x) },
				func(d []float32) { GELU(d, x) },
				func(d []float32) { GELUGrad(d, x, y) },
				func(d []float32) { Axpy(d, 0.3, x) },
				func(d []float32) {
					row := append(make([]float32, 0, n+8), x[:n]...)
					softmaxPadded(row, 1, n, n+8)
					copy(d, row)
				},
				func(d []float32) { LayerNormRows(d, n, x, n, 3, n, g, g, 1e-6, nil, nil) },
				func(d []float32) {
					LayerNormGradRows(d, y, x, 3, n, g, y, y[n/2:], make([]float32, n), make([]float32, n))
				},
				func(d []float32) { d[0] = Dot(x, y) },
				func(d []float32) {
					var s AttentionScratch
					w := min(n, 40)
					Attention(d, w, y, w, 3, x, w, y, w, 3*n/w, 1, w, 0.2, nil, nil, &s)
				},
			} {
				d := make([]float32, 3*n)
				f(d)
				out = append(out, d...)
			}
			return out
		}
		vecLevel = vecAVX2
		want := run()
		vecLevel = vecAVX512
		for i, v := range run() {
			if math.Float32bits(v) != math.Float32bits(want[i]) {
				t.Fatalf("n=%d: number %d is %g with AVX-512 and %g with AVX2", n, i, v, want[i])
			}
		}
	}
}
