package noise

import (
	_ "embed"
	"math/bits"
	"sync"
)

// The direction numbers are new-joe-kuo-6.21201 by Stephen Joe and Frances Kuo
// (Constructing Sobol sequences with better two-dimensional projections, SIAM
// J. Sci. Comput. 30, 2008; https://web.maths.unsw.edu.au/~fkuo/sobol), used
// under their licence, which NOTICE reproduces. The file holds them packed:
// a bitmap whose bit p>>1 marks each primitive polynomial p of degree up to 18
// (dimensions 2 to 21201 take them in increasing order), then for each of those
// dimensions of degree s the numbers m_1..m_s, of m_i the i−1 bits above the
// lowest, which is always 1. Least significant bits first.
//
//go:embed joe_kuo.bin
var joeKuo []byte

const (
	sobolDims   = 21201 // dimensions of the table
	sobolBits   = 20    // of the index: Pair < MaxPair = 2^20
	sobolDegree = 18    // of the largest polynomial
	bitmapBytes = 1 << (sobolDegree - 3)
)

// sobolTable returns the direction integers, number b of dimension j (from 0)
// at [b][j], scaled to 32 bits.
var sobolTable = sync.OnceValue(func() *[sobolBits][sobolDims]uint32 {
	t := new([sobolBits][sobolDims]uint32)
	for b := range t {
		t[b][0] = 1 << (31 - b)
	}
	at, dim := bitmapBytes*8, 1
	next := func(n int) (v uint32) {
		for i := range n {
			v |= uint32(joeKuo[at>>3]>>(at&7)&1) << i
			at++
		}
		return v
	}
	for half := range uint32(1 << sobolDegree) {
		if joeKuo[half>>3]>>(half&7)&1 == 0 {
			continue
		}
		poly := half<<1 | 1
		s := bits.Len32(poly) - 1
		var v [sobolBits]uint32
		for i := range s {
			m := next(i)<<1 | 1
			v[i] = m << (31 - i)
		}
		for i := s; i < sobolBits; i++ {
			v[i] = v[i-s] ^ v[i-s]>>s
			for k := 1; k < s; k++ {
				if poly>>(s-k)&1 != 0 {
					v[i] ^= v[i-k]
				}
			}
		}
		for b := range t {
			t[b][dim] = v[b]
		}
		dim++
	}
	return t
})

// owen scrambles the digits of x by a nested uniform permutation named by seed:
// the hash of Laine and Karras with the constants of Vegdahl, applied from the
// highest bit down (Burley, Practical hash-based Owen scrambling, JCGT 2020).
func owen(x, seed uint32) uint32 {
	x = bits.Reverse32(x)
	x ^= x * 0x3D20ADEA
	x += seed
	x *= seed>>16 | 1
	x ^= x * 0x05526C56
	x ^= x * 0x53A22864
	return bits.Reverse32(x)
}

// sobolUniforms writes the scrambled coordinates dim0.. of point number index.
func sobolUniforms(u []float64, index uint32, dim0 int, seeds *seeder) {
	t := sobolTable()
	var x [chunk]uint32
	for ; index != 0; index &= index - 1 {
		row := t[bits.TrailingZeros32(index)][dim0 : dim0+len(u)]
		for j, v := range row {
			x[j] ^= v
		}
	}
	for j := range u {
		u[j] = (float64(owen(x[j], seeds.word(dim0+j))) + 0.5) * (1.0 / (1 << 32))
	}
}
