package noise

// chunk is how many elements of a sequence are made at a time, on the stack.
const chunk = 128

// sequence is a source of scrambled low-discrepancy directions. The index of a
// direction in the sequence is its Pair, so that the pairs of one image at one
// site and step spread evenly; seed, step, site and image choose the scramble,
// which makes every direction alone uniform and the directions of different
// images independent. Normals are the inverse distribution function of the
// coordinates; Rademacher numbers are −1 below ½.
type sequence struct {
	name       string
	halton     bool
	rademacher bool
	key        uint64
}

func newSequence(l Law, halton bool, seed uint64) *sequence {
	s := &sequence{halton: halton, rademacher: l == Sign, name: l.String() + "/sobol", key: streamKey(seed, Scramble)}
	if halton {
		s.name = l.String() + "/halton"
		primes()
	} else {
		sobolTable()
	}
	return s
}

// MaxDim is where the sequence ends.
func (s *sequence) MaxDim() int {
	if s.halton {
		return haltonDims
	}
	return sobolDims
}

// Name implements Source.
func (s *sequence) Name() string { return s.name }

// Fill implements Source.
func (s *sequence) Fill(dst []float32, c Counter, offset int) {
	var e [chunk]float32
	for len(dst) > 0 {
		n := s.noise(&e, len(dst), c, offset)
		copy(dst, e[:n])
		dst, offset = dst[n:], offset+n
	}
}

// AddScaled implements Source.
func (s *sequence) AddScaled(dst, z []float32, scale float32, c Counter, offset int) {
	var e [chunk]float32
	for len(dst) > 0 {
		n := s.noise(&e, len(dst), c, offset)
		for i, v := range e[:n] {
			dst[i] = fma32(scale, v, z[i])
		}
		dst, z, offset = dst[n:], z[n:], offset+n
	}
}

// Axpy implements Source.
func (s *sequence) Axpy(dst []float32, coef float32, c Counter, offset int) {
	s.AddScaled(dst, dst, coef, c, offset)
}

// noise makes up to chunk elements from offset on and returns how many.
func (s *sequence) noise(e *[chunk]float32, n int, c Counter, offset int) int {
	c.check()
	n = min(n, chunk)
	if offset < 0 || offset+n > s.MaxDim() {
		panic("noise: direction longer than MaxDim")
	}
	seeds := seeder{c: [4]uint32{0, c.Site, c.Image, c.Step}, key: s.key, block: -1}
	var u [chunk]float64
	if s.halton {
		haltonUniforms(u[:n], c.Pair, offset, &seeds)
	} else {
		sobolUniforms(u[:n], c.Pair, offset, &seeds)
	}
	for i, v := range u[:n] {
		switch {
		case !s.rademacher:
			e[i] = float32(normalQuantile(v))
		case v < 0.5:
			e[i] = -1
		default:
			e[i] = 1
		}
	}
	return n
}

// seeder hands out one random word per dimension, four from each counter.
type seeder struct {
	c, out [4]uint32
	key    uint64
	block  int
}

func (s *seeder) word(dim int) uint32 {
	if b := dim / 4; b != s.block {
		s.block, s.c[0] = b, uint32(b)
		s.out = philox(s.c, uint32(s.key), uint32(s.key>>32))
	}
	return s.out[dim%4]
}
