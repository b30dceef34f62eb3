package noise

import "math"

// Purpose separates the streams of one seed: two draws with different purposes
// share no number. Those below Free belong to this module; take yours from there
// on.
type Purpose uint32

// Free is the first purpose that this module leaves to others.
const Free Purpose = 1 << 16

// The purposes of this module's own draws.
const (
	Shuffle  Purpose = iota + 1 // order of the images of an epoch
	Augment                     // crops, flips and other transforms
	Init                        // first values of parameters
	Split                       // division of a dataset
	Alloc                       // an allocator's scores
	Schedule                    // choice of a site or parameter for a step
	Scramble                    // randomisation of low-discrepancy sequences
	Data                        // synthetic images
	Test                        // inputs of tests and benchmarks
	Rows                        // which rows of an item a derivative is taken at
)

// Generator is a small stream of uniform and normal numbers. It holds no
// hidden state beyond its place in the stream: Rand with the same arguments
// starts the same stream again. Not for concurrent use; make one per goroutine
// with counters that differ.
type Generator struct {
	c      [4]uint32
	k0, k1 uint32
	out    [4]uint32
	left   int
	spare  float64
	paired bool
}

// Rand starts the stream of purpose at up to three counters (epoch, image, ...;
// absent ones are 0, and more are an error of the caller and panic). Its key is
// the seed mixed with the purpose by the finaliser of SplitMix64, so that these
// streams stand apart from the directions of Source under the same seed.
func Rand(seed uint64, purpose Purpose, counter ...uint32) *Generator {
	if len(counter) > 3 {
		panic("noise: Rand takes at most three counters")
	}
	key := streamKey(seed, purpose)
	g := &Generator{k0: uint32(key), k1: uint32(key >> 32)}
	copy(g.c[1:], counter)
	return g
}

// streamKey is the key of a purpose's streams under a seed.
func streamKey(seed uint64, p Purpose) uint64 {
	return mix64(seed + golden*(uint64(p)+1))
}

// golden is 2^64 over the golden ratio, the increment of SplitMix64.
const golden = 0x9E3779B97F4A7C15

// mix64 is the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), a
// bijection of 64 bits.
func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Uint32 returns the next 32 bits.
func (g *Generator) Uint32() uint32 {
	if g.left == 0 {
		g.out = philox(g.c, g.k0, g.k1)
		g.c[0]++
		g.left = 4
	}
	g.left--
	return g.out[3-g.left]
}

// Uint64 returns the next 64 bits.
func (g *Generator) Uint64() uint64 {
	hi := uint64(g.Uint32())
	return hi<<32 | uint64(g.Uint32())
}

// Float32 returns a multiple of 2^-24 in [0, 1).
func (g *Generator) Float32() float32 { return float32(g.Uint32()>>8) * (1.0 / (1 << 24)) }

// Float64 returns a multiple of 2^-53 in [0, 1).
func (g *Generator) Float64() float64 { return float64(g.Uint64()>>11) * (1.0 / (1 << 53)) }

// Normal returns a standard normal by Box–Muller in float64.
func (g *Generator) Normal() float64 {
	if g.paired {
		g.paired = false
		return g.spare
	}
	r := math.Sqrt(-2 * math.Log(1-g.Float64()))
	s, c := math.Sincos(2 * math.Pi * g.Float64())
	g.spare, g.paired = r*s, true
	return r * c
}

// Intn returns a number in [0, n), without bias (Lemire, Fast random integer
// generation in an interval, ACM TOMACS 2019). n must be in [1, 2^31).
func (g *Generator) Intn(n int) int {
	if n <= 0 || n > math.MaxInt32 {
		panic("noise: Intn needs 0 < n < 2^31")
	}
	m := uint64(g.Uint32()) * uint64(n)
	if uint32(m) < uint32(n) {
		for floor := -uint32(n) % uint32(n); uint32(m) < floor; {
			m = uint64(g.Uint32()) * uint64(n)
		}
	}
	return int(m >> 32)
}

// Perm returns a permutation of 0..n-1 (Fisher–Yates).
func (g *Generator) Perm(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	g.Shuffle(n, func(i, j int) { p[i], p[j] = p[j], p[i] })
	return p
}

// Shuffle permutes n things with swap (Fisher–Yates).
func (g *Generator) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, g.Intn(i+1))
	}
}
