package noise

// group is the number of elements that eight counters make (package comment).
const group = 32

// mode says what becomes of the noise.
type mode uint8

const (
	fill      mode = iota // dst = ε
	addScaled             // dst = z + scale·ε, z may be dst
)

// counter is the first counter of a run of groups, c0..c3, and the key, k0 and
// k1: the layout that the assembly reads.
type counter = [6]uint32

// counted is the source of independent numbers straight from the counter.
type counted struct {
	seed       uint64
	rademacher bool
}

// Name implements Source.
func (s *counted) Name() string {
	if s.rademacher {
		return Sign.String()
	}
	return Normal.String()
}

// Fill implements Source.
func (s *counted) Fill(dst []float32, c Counter, offset int) {
	s.span(fill, dst, nil, 0, c, offset)
}

// AddScaled implements Source.
func (s *counted) AddScaled(dst, z []float32, scale float32, c Counter, offset int) {
	if len(z) < len(dst) {
		panic("noise: z is shorter than dst")
	}
	s.span(addScaled, dst, z[:len(dst)], scale, c, offset)
}

// Axpy implements Source.
func (s *counted) Axpy(dst []float32, coef float32, c Counter, offset int) {
	s.span(addScaled, dst, dst, coef, c, offset)
}

// span splits dst into a partial group, whole groups and a partial group. The
// partial ones pass through a buffer, so that every element is computed by the
// same instructions wherever the slice begins.
func (s *counted) span(m mode, dst, z []float32, scale float32, c Counter, offset int) {
	c.check()
	if offset < 0 {
		panic("noise: negative offset")
	}
	ctr := counter{uint32(offset / group * 8), c.Pair | c.Site<<20, c.Image, c.Step,
		uint32(s.seed), uint32(s.seed >> 32)}
	for len(dst) > 0 {
		if r := offset % group; r != 0 || len(dst) < group {
			n := min(group-r, len(dst))
			var buf [group]float32
			if m != fill {
				copy(buf[r:], z[:n])
				z = z[n:]
			}
			s.groups(m, buf[:], buf[:], scale, &ctr)
			copy(dst[:n], buf[r:])
			dst, offset = dst[n:], offset+n
			ctr[0] += 8
			continue
		}
		n := len(dst) / group * group
		whole := dst[:n]
		if m != fill {
			s.groups(m, whole, z[:n], scale, &ctr)
			z = z[n:]
		} else {
			s.groups(m, whole, nil, 0, &ctr)
		}
		dst, offset = dst[n:], offset+n
		ctr[0] += uint32(n / group * 8)
	}
}

// groupsGeneric is the portable form of groups.
func (s *counted) groupsGeneric(m mode, dst, z []float32, scale float32, ctr *counter) {
	c := [4]uint32(ctr[:4])
	for len(dst) > 0 {
		var e [group]float32
		for lane := range 8 {
			x := philox(c, ctr[4], ctr[5])
			c[0]++
			if s.rademacher {
				for w, v := range x {
					e[8*w+lane] = sign(v)
				}
				continue
			}
			e[lane], e[8+lane] = boxMuller(x[0], x[1])
			e[16+lane], e[24+lane] = boxMuller(x[2], x[3])
		}
		if m == fill {
			copy(dst, e[:])
		} else {
			for i, v := range e {
				dst[i] = fma32(scale, v, z[i])
			}
			z = z[group:]
		}
		dst = dst[group:]
	}
}

// sign is the Rademacher number of a word.
func sign(x uint32) float32 {
	if x>>31 != 0 {
		return -1
	}
	return 1
}
