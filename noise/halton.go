package noise

import "sync"

// haltonDims is where the Halton sequence ends: the 4096th prime is 38873, and
// beyond it a run's indices no longer fill one digit.
const haltonDims = 4096

// primes returns the first haltonDims primes.
var primes = sync.OnceValue(func() []uint32 {
	const limit = 38874
	var composite [limit]bool
	p := make([]uint32, 0, haltonDims)
	for i := 2; i < limit; i++ {
		if composite[i] {
			continue
		}
		p = append(p, uint32(i))
		for j := i * i; j < limit; j += i {
			composite[j] = true
		}
	}
	return p
})

// haltonUniforms writes coordinates dim0.. of point number index: the radical
// inverse in the j-th prime b with digit d at place k replaced by
// (a_k·d + c_k) mod b, a_k in 1..b−1 and c_k in 0..b−1 random (Matoušek's
// random linear digit scrambling, On the L2-discrepancy for anchored boxes,
// 1998). Digits are taken until b^k passes 2^32, leading zeros included, and
// half a cell is added, so that u lies in (0, 1).
func haltonUniforms(u []float64, index uint32, dim0 int, seeds *seeder) {
	table := primes()
	for j := range u {
		b := uint64(table[dim0+j])
		h := uint64(seeds.word(dim0+j))<<32 | uint64(dim0+j)
		rest, value, cells := uint64(index), uint64(0), uint64(1)
		for cells < 1<<32 {
			h += golden
			r := mix64(h)
			a, c := 1+(r>>32*(b-1))>>32, (r&0xFFFFFFFF*b)>>32
			value = value*b + (a*(rest%b)+c)%b
			cells *= b
			rest /= b
		}
		u[j] = (float64(value) + 0.5) / float64(cells)
	}
}
