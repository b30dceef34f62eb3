// Package noise makes random numbers from a counter, so that any worker, any
// device and any resumed run regenerates the same numbers without storing them.
//
// A Source makes directions: long vectors ε of independent elements, or of a
// low-discrepancy sequence, each named by a Counter. Gaussian, Rademacher, Sobol
// and Halton make one. A Generator is a small stream of numbers for everything
// else that is drawn; Rand makes one.
//
// The numbers of a Source under a seed are part of this package's promise: they
// stay from one version to the next, and are the same on every machine, but for
// the last place of some normals (below). The package is version 0: names may
// still change.
//
// # The generator
//
// The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random
// numbers: as easy as 1, 2, 3; SC 2011). Its key is the 64-bit seed (k0 the low
// half, k1 the high half); its counter is
//
//	c0 = block,  c1 = pair | site<<20,  c2 = image slot,  c3 = step
//
// with pair < 2^20 and site < 2^12; each counter gives four words x0..x3.
//
// # Element order
//
// The noise of one direction is a sequence ε[0], ε[1], ... in groups of 32. For
// element o, with g = o/32 and r = o%32, block = 8g + r%8 and the word is x[r/8].
// Eight counters thus fill eight lanes of a vector, and word w of all eight is
// stored at 32g + 8w.
//
// # Gaussian
//
// Each block gives four normals by Box–Muller: (x0, x1) become elements at the
// places of x0 and x1, (x2, x3) likewise. For a pair of words (a, b):
//
//	u = ((a>>9) + ½)·2⁻²³                     exact in float32, in (0, 1)
//	ρ = √(−2 ln u)                            at most 5.768
//	θ = the angle of b, below
//	first = ρ cos θ,  second = ρ sin θ
//
// The logarithm, sine and cosine are the short polynomials of boxMuller, in
// float32 with fused multiply-add. The portable version and the vector kernels
// agree on the uniforms bit for bit and on the normals within 2 units in the
// last place (none was seen to differ in 131,072); against float64 a normal is
// within 4.
//
// # Angle
//
// The word b is split exactly into a quadrant and an offset: q = (b + 2²⁹)>>30
// (mod 4), s = int32(b<<2)>>11 (arithmetic, −2²⁰ ≤ s < 2²⁰), φ = (s + ½)·2⁻²³
// turns, so that θ = q·π/2 + 2π·φ with |φ| < 1/8. With S = sin 2πφ and
// C = cos 2πφ, (cos θ, sin θ) is (C, S), (−S, C), (−C, −S), (S, −C) for
// q = 0..3.
//
// # Rademacher
//
// Element o is −1 where bit 31 of its word is set and +1 elsewhere.
package noise

import "math/bits"

// Multipliers and key increments of Philox4x32 (Random123).
const (
	philoxM0 = 0xD2511F53
	philoxM1 = 0xCD9E8D57
	philoxW0 = 0x9E3779B9
	philoxW1 = 0xBB67AE85
)

// philox returns the four words of Philox4x32-10 at counter c under key
// (k0, k1).
func philox(c [4]uint32, k0, k1 uint32) [4]uint32 {
	for range 10 {
		h0, l0 := bits.Mul32(philoxM0, c[0])
		h1, l1 := bits.Mul32(philoxM1, c[2])
		c = [4]uint32{h1 ^ c[1] ^ k0, l1, h0 ^ c[3] ^ k1, l0}
		k0 += philoxW0
		k1 += philoxW1
	}
	return c
}
