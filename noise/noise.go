package noise

import (
	"fmt"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// Limits of a Counter: Pair and Site share one word of the generator.
const (
	MaxPair = 1 << 20 // Pair is below this
	MaxSite = 1 << 12 // Site is below this
)

// Counter names one direction under a seed.
type Counter struct {
	Step  uint32 // the run's step
	Site  uint32 // the perturbed map or parameter, below MaxSite
	Image uint32 // the image's slot in the batch, or any number the caller fixes
	Pair  uint32 // number of the direction, below MaxPair
}

// Source makes the noise of directions. The three methods see the same ε for
// the same counter, whatever the offset and length: AddScaled and Axpy give
// the bits of fma(scale, ε, z). They allocate nothing and are safe for
// concurrent use. A Counter beyond its limits panics, since it would repeat
// another direction's noise; CheckCounts lets a configuration be refused first.
type Source interface {
	// Name is the kind and sequence, "gaussian" or "gaussian/sobol".
	Name() string
	// Fill sets dst[j] = ε[offset+j].
	Fill(dst []float32, c Counter, offset int)
	// AddScaled sets dst[j] = z[j] + scale·ε[offset+j]; z may be dst.
	AddScaled(dst, z []float32, scale float32, c Counter, offset int)
	// Axpy adds coef·ε[offset+j] to dst[j].
	Axpy(dst []float32, coef float32, c Counter, offset int)
}

// Kinds and sequences that New knows.
var (
	kinds     = []string{"gaussian", "rademacher"}
	sequences = []string{"none", "sobol", "halton"}
)

// New returns the source of kind ("gaussian": N(0, 1); "rademacher": ±1 with
// equal chance) drawn from qmc ("none": independent numbers; "sobol",
// "halton": scrambled low-discrepancy directions).
func New(kind, qmc string, seed uint64) (Source, error) {
	rademacher := kind == "rademacher"
	if !rademacher && kind != "gaussian" {
		return nil, unknown("noise", kind, kinds)
	}
	switch qmc {
	case "none", "":
		return &counted{seed: seed, rademacher: rademacher}, nil
	case "sobol":
		return newSequence(kind, false, seed), nil
	case "halton":
		return newSequence(kind, true, seed), nil
	}
	return nil, unknown("qmc", qmc, sequences)
}

func unknown(key, value string, known []string) error {
	return uierr.New(fmt.Sprintf("estimator.%s: no such choice: %q", key, value),
		"choose one of: "+strings.Join(known, ", "))
}

// MaxDim returns how many elements one direction of s may have, or 0 when there
// is no limit.
func MaxDim(s Source) int {
	if q, ok := s.(*sequence); ok {
		return q.dims()
	}
	return 0
}

// CheckDim refuses directions of dim elements where s cannot make them.
func CheckDim(s Source, site string, dim int) error {
	if m := MaxDim(s); m > 0 && dim > m {
		return uierr.New(fmt.Sprintf("estimator.qmc: site %s has directions of %d elements and %s ends at %d", site, dim, s.Name(), m),
			"set estimator.qmc: none, keep structural_mask: true, or leave this site out")
	}
	return nil
}

// CheckCounts refuses runs whose pairs or sites would not fit a Counter.
func CheckCounts(pairs, sites int) error {
	if pairs > MaxPair {
		return uierr.New(fmt.Sprintf("budget.queries_per_image: one image may get %d directions, more than the %d that the noise can number", pairs, MaxPair),
			"lower budget.queries_per_image or train.batch_size")
	}
	if sites > MaxSite {
		return uierr.New(fmt.Sprintf("sites: %d perturbed maps are more than the %d that the noise can number", sites, MaxSite),
			"perturb fewer sites")
	}
	return nil
}

func (c Counter) check() {
	if c.Pair >= MaxPair || c.Site >= MaxSite {
		panic("noise: Counter beyond MaxPair or MaxSite")
	}
}
