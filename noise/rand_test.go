package noise

import (
	"math"
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

func TestRandStreams(t *testing.T) {
	first := func(seed uint64, p Purpose, c ...uint32) uint64 { return Rand(seed, p, c...).Uint64() }
	if a, b := first(1, Shuffle, 2), first(1, Shuffle, 2); a != b || first(1, Shuffle) != first(1, Shuffle, 0, 0, 0) {
		t.Error("a stream does not start again the same")
	}
	seen := map[uint64]bool{}
	for seed := range uint64(4) {
		for p := range Purpose(12) {
			for c := range uint32(4) {
				seen[first(seed, p, c)] = true
				seen[first(seed, p, 9, c)] = true
			}
		}
	}
	if len(seen) != 4*12*8 {
		t.Errorf("%d distinct streams of %d", len(seen), 4*12*8)
	}
}

// TestRandUniformity: χ² of 16 bins over 2^16 draws exceeds 44.3 (15 degrees of
// freedom) once in 10^4; the seed is fixed.
func TestRandUniformity(t *testing.T) {
	const n = 1 << 16
	for name, draw := range map[string]func(g *Generator) int{
		"Intn":    func(g *Generator) int { return g.Intn(16) },
		"Float32": func(g *Generator) int { return int(g.Float32() * 16) },
		"Float64": func(g *Generator) int { return int(g.Float64() * 16) },
		"Normal":  func(g *Generator) int { return min(15, int(16*0.5*math.Erfc(-g.Normal()/math.Sqrt2))) },
	} {
		g, bins, chi := Rand(3, Test), [16]float64{}, 0.0
		for range n {
			bins[draw(g)]++
		}
		for _, b := range bins {
			chi += (b - n/16) * (b - n/16) / (n / 16)
		}
		if chi > 44.3 {
			t.Errorf("%s: χ² = %.1f", name, chi)
		}
	}
}

func TestPerm(t *testing.T) {
	p := Rand(4, Shuffle, 1).Perm(1000)
	if slices.Equal(p, Rand(4, Shuffle, 2).Perm(1000)) || slices.IsSorted(p) {
		t.Error("the permutation does not depend on its counter")
	}
	slices.Sort(p)
	for i, v := range p {
		if i != v {
			t.Fatalf("%d is missing", i)
		}
	}
}

func TestRandAllocates(t *testing.T) {
	var sum float64
	if n := testkit.Allocations(t, 10, func() {
		g := Rand(5, Augment, 1, 2, 3)
		sum += float64(g.Float32()) + g.Normal() + float64(g.Intn(7))
	}); n > 1 {
		t.Errorf("%v allocations a stream", n)
	}
}
