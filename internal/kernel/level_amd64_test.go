package kernel

import (
	"math"
	"math/rand"
	"slices"
	"testing"
)

// TestEnginesAgree holds the products of AVX-512 to the bits of AVX2, with every
// part of an epilogue, where k is below, at and beyond a block of the sum, and the
// product of training.
func TestEnginesAgree(t *testing.T) {
	usable := Kernels()
	if !slices.Contains(usable, "avx512") || !slices.Contains(usable, "avx2") {
		t.Skip("this processor has no AVX-512")
	}
	before := active().name
	defer func() { _ = Select(before) }()
	for _, c := range []struct{ m, n, k int }{
		{1, 1, 1}, {7, 33, 31}, {64, 48, 255}, {15, 100, 256}, {29, 65, 257}, {13, 70, 384},
		{5, 129, 400}, {170, 513, 520}, {9, 40, 1100},
	} {
		r := rand.New(rand.NewSource(int64(c.k)))
		a, b, bias, res := randn(r, c.m*c.k), randn(r, c.k*c.n), randn(r, c.n), randn(r, c.m*c.n)
		up := randn(r, c.m*c.n)
		run := func(engine string) (out []float32) {
			if err := Select(engine); err != nil {
				t.Fatal(err)
			}
			var p Packed
			var s Scratch
			p.PackNN(b, c.k, c.n, c.n)
			for _, ep := range []*Epilogue{nil, {Bias: bias, GELU: true}, {Accumulate: true, Scale: 0.3},
				{Bias: bias, Residual: res, LdRes: c.n, Pre: make([]float32, c.m*c.n), LdPre: c.n, GELU: true}} {
				y := slices.Clone(res)
				Gemm(y, c.n, a, c.k, c.m, &p, ep, &s)
				out = append(out, y...)
			}
			y := make([]float32, c.k*c.n)
			GemmTN(y, c.n, a, c.k, up, c.n, c.k, c.n, c.m, false, &s)
			GemmTN(y, c.n, a, c.k, up, c.n, c.k, c.n, c.m, true, &s)
			return append(out, y...)
		}
		want := run("avx2")
		for i, v := range run("avx512") {
			if math.Float32bits(v) != math.Float32bits(want[i]) {
				t.Fatalf("%v: number %d is %g with AVX-512 and %g with AVX2", c, i, v, want[i])
			}
		}
	}
}
