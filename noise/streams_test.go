package noise

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// TestEveryCounterCounts: each part of a counter, and the seed, changes the noise
// of every source, whatever makes it.
func TestEveryCounterCounts(t *testing.T) {
	base := Counter{Step: 3, Site: 5, Image: 7, Pair: 9}
	for _, kind := range []string{"gaussian", "rademacher"} {
		for qmc := range sources {
			var seen [][]float32
			draw := func(seed uint64, c Counter) {
				s := newSource(kind, qmc, seed)
				e := make([]float32, 200)
				s.Fill(e, c, 0)
				for k, old := range seen {
					if slices.Equal(old, e) {
						t.Errorf("%s/%s: draw %d is draw %d again", kind, qmc, len(seen), k)
					}
				}
				seen = append(seen, e)
			}
			draw(1, base)
			draw(2, base)
			draw(1+1<<32, base)
			for _, c := range []Counter{{4, 5, 7, 9}, {3, 6, 7, 9}, {3, 5, 8, 9}, {3, 5, 7, 10}, {3, 5, 9, 7}, {5,
				3, 7, 9}, {3 + 1<<31, 5, 7, 9}} {
				draw(1, c)
			}
		}
	}
}

// TestSequencesOfSigns: of 256 directions of a net exactly half are −1 in every
// dimension, and Halton's in base 2 too.
func TestSequencesOfSigns(t *testing.T) {
	for qmc, dims := range map[string]int{"sobol": 300, "halton": 1} {
		s := newSource("rademacher", qmc, 6)
		sum, e := make([]float32, dims), make([]float32, dims)
		for pair := range uint32(256) {
			s.Fill(e, Counter{Step: 1, Image: 2, Pair: pair}, 0)
			for i, v := range e {
				if v != 1 && v != -1 {
					t.Fatalf("%s: a sign of %v", qmc, v)
				}
				sum[i] += v
			}
		}
		for i, v := range sum {
			if v != 0 {
				t.Errorf("%s, dimension %d: the signs of 256 directions sum to %v", qmc, i, v)
			}
		}
	}
}

// TestMiddleOfTheCell: a coordinate is the middle of its cell, so that none is 0
// or 1, where the normal has no value: in base 2 a cell is 2⁻³².
func TestMiddleOfTheCell(t *testing.T) {
	seeds := seeder{c: [4]uint32{0, 1, 2, 3}, key: 5, block: -1}
	for i := range uint32(50) {
		var u [1]float64
		haltonUniforms(u[:], i, 0, &seeds)
		_, h := math.Modf(u[0] * (1 << 32))
		sobolUniforms(u[:], i, 0, &seeds)
		if _, s := math.Modf(u[0] * (1 << 32)); h != 0.5 || s != 0.5 {
			t.Fatalf("point %d stands at %v and %v of its cells", i, h, s)
		}
	}
}

// TestOwen holds the scramble to numbers computed apart from this code, by the
// steps of Burley's paper with Vegdahl's constants.
func TestOwen(t *testing.T) {
	for _, c := range [][3]uint32{
		{0x0, 0x0, 0x0},
		{0x0, 0x12345678, 0x1679d7f6},
		{0x80000000, 0x12345678, 0x87e32b06},
		{0xdeadbeef, 0x9abcdef0, 0xde4e5094},
		{0x1, 0xffffffff, 0xd5a14ab6},
		{0x12345678, 0xffff, 0x9d2bf1d8},
	} {
		if got := owen(c[0], c[1]); got != c[2] {
			t.Errorf("owen(%#x, %#x) = %#x, want %#x", c[0], c[1], got, c[2])
		}
	}
}

// TestPermutationsAreEqual: each of the orders of three comes as often, within 4.5
// standard errors of 6000, the one that moves nothing included.
func TestPermutationsAreEqual(t *testing.T) {
	g := Rand(3, Test)
	count := map[string]float64{}
	const draws = 6000
	for range draws {
		count[fmt.Sprint(g.Perm(3))]++
	}
	if len(count) != 6 {
		t.Fatalf("%d orders of three: %v", len(count), count)
	}
	for order, n := range count {
		if z := (n - draws/6.0) / math.Sqrt(draws*5/36.0); math.Abs(z) > 4.5 {
			t.Errorf("%s came %v times of %d", order, n, draws)
		}
	}
}

// TestGeneratorNormals: mean 0, variance 1, fourth moment 3, and neighbours that
// know nothing of each other nor of each other's squares, within 4.5 standard
// errors of 40,000 draws (variances of the terms: 1, 2, 96, 1, 4).
func TestGeneratorNormals(t *testing.T) {
	g := Rand(11, Test, 2)
	const n = 40000
	var mean, sq, four, lag, lagSq float64
	last := g.Normal()
	for range n {
		x := g.Normal()
		mean, sq, four = mean+x/n, sq+x*x/n, four+x*x*x*x/n
		lag, lagSq = lag+x*last/n, lagSq+(x*x-1)*(last*last-1)/n
		last = x
	}
	for _, c := range []struct {
		what                string
		got, want, variance float64
	}{{"mean", mean, 0, 1}, {"variance", sq, 1, 2}, {"fourth moment", four, 3, 96}, {"product of neighbours", lag,
		0, 1}, {"product of their squares", lagSq, 0, 4}} {
		if z := (c.got - c.want) / math.Sqrt(c.variance/n); math.Abs(z) > 4.5 {
			t.Errorf("%s %v, %.1f standard errors from %v", c.what, c.got, z, c.want)
		}
	}
}
