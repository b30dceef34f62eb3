package isa

import "testing"

func TestLowered(t *testing.T) {
	for _, c := range []struct {
		best Level
		name string
		want Level
	}{
		{AVX512, "", AVX512},
		{AVX512, "avx512", AVX512},
		{AVX512, "avx2", AVX2},
		{AVX512, "portable", Portable},
		{AVX512, "gonum", AVX512},
		{AVX2, "avx512", AVX2},
		{Portable, "avx2", Portable},
	} {
		if got := lowered(c.best, c.name); got != c.want {
			t.Errorf("%s of a processor of level %d gives %d, want %d", c.name, c.best, got, c.want)
		}
	}
}
