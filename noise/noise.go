package noise

// Limits of a Counter: Pair and Site share one word of the generator.
const (
	MaxPair = 1 << 20 // Pair is below this
	MaxSite = 1 << 12 // Site is below this
)

// Counter names one direction under a seed. What the four numbers count is the
// caller's; the names are those of the estimators in package forward.
type Counter struct {
	Step  uint32 // the step of a run
	Site  uint32 // what is perturbed, below MaxSite
	Image uint32 // the item's slot in its batch, or any number the caller fixes
	Pair  uint32 // number of the direction, below MaxPair; the place in a low-discrepancy sequence
}

// Source makes the noise of directions. The three methods see the same ε for
// the same counter, whatever the offset and length: AddScaled and Axpy give
// the bits of fma(scale, ε, z). They allocate nothing and are safe for
// concurrent use. Mistakes of the caller panic: a Counter beyond its limits,
// since it would repeat another direction's noise, a negative offset, a z that is
// shorter than dst, and elements beyond MaxDim.
type Source interface {
	// Name is the law and the sequence, "gaussian" or "rademacher/sobol".
	Name() string
	// Fill sets dst[j] = ε[offset+j].
	Fill(dst []float32, c Counter, offset int)
	// AddScaled sets dst[j] = z[j] + scale·ε[offset+j]; z may be dst.
	AddScaled(dst, z []float32, scale float32, c Counter, offset int)
	// Axpy adds coef·ε[offset+j] to dst[j].
	Axpy(dst []float32, coef float32, c Counter, offset int)
}

// Law is the distribution of one element of a direction. Both have mean 0 and
// variance 1.
type Law int

const (
	// Normal is the standard normal distribution N(0, 1).
	Normal Law = iota
	// Sign is −1 or +1 with equal chance (Rademacher).
	Sign
)

// String is the name that a Source has of its law: "gaussian" or "rademacher".
func (l Law) String() string {
	if l == Sign {
		return "rademacher"
	}
	return "gaussian"
}

// Gaussian is the source of independent standard normals.
func Gaussian(seed uint64) Source { return Independent(Normal, seed) }

// Rademacher is the source of independent signs.
func Rademacher(seed uint64) Source { return Independent(Sign, seed) }

// Independent is the source of independent numbers straight from the counter. Its
// directions have no largest length.
func Independent(l Law, seed uint64) Source {
	return &counted{seed: seed, rademacher: l == Sign}
}

// Sobol is the source of scrambled Sobol directions, of at most 21201 elements:
// direction numbers of Joe and Kuo (Constructing Sobol sequences with better
// two-dimensional projections, SIAM J. Sci. Comput. 30, 2008), Owen's scrambling
// by hash (Burley, Practical hash-based Owen scrambling, JCGT 2020). The first
// call makes a table of 1.7 MB that all share.
func Sobol(l Law, seed uint64) Source { return newSequence(l, false, seed) }

// Halton is the source of scrambled Halton directions, of at most 4096 elements:
// random linear digit scrambling (Matoušek, On the L2-discrepancy for anchored
// boxes, J. Complexity 14, 1998).
func Halton(l Law, seed uint64) Source { return newSequence(l, true, seed) }

// MaxDim returns how many elements one direction of s may have, or 0 when there
// is no limit. A source of your own says so by a method MaxDim() int.
func MaxDim(s Source) int {
	if q, ok := s.(interface{ MaxDim() int }); ok {
		return q.MaxDim()
	}
	return 0
}

func (c Counter) check() {
	if c.Pair >= MaxPair || c.Site >= MaxSite {
		panic("noise: Counter beyond MaxPair or MaxSite")
	}
}
