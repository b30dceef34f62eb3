// Package directions makes the noise that a config names: it knows the keys
// estimator.noise and estimator.qmc, package noise the numbers.
package directions

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// laws are the values of estimator.noise.
var laws = map[string]noise.Law{noise.Normal.String(): noise.Normal, noise.Sign.String(): noise.Sign}

// sequences are the values of estimator.qmc.
var sequences = map[string]func(noise.Law, uint64) noise.Source{
	"none":   noise.Independent,
	"sobol":  noise.Sobol,
	"halton": noise.Halton,
}

// Laws lists the values of estimator.noise.
func Laws() []string { return slices.Sorted(maps.Keys(laws)) }

// Sequences lists the values of estimator.qmc.
func Sequences() []string { return slices.Sorted(maps.Keys(sequences)) }

// New returns the source of a law drawn from a sequence; an empty one is "none".
// A name that there is not is an error of type *uierr.Error.
func New(law, sequence string, seed uint64) (noise.Source, error) {
	l, ok := laws[law]
	if !ok {
		return nil, unknown("noise", law, Laws())
	}
	if sequence == "" {
		sequence = "none"
	}
	draw, ok := sequences[sequence]
	if !ok {
		return nil, unknown("qmc", sequence, Sequences())
	}
	return draw(l, seed), nil
}

func unknown(key, value string, known []string) error {
	return uierr.New(fmt.Sprintf("estimator.%s: no such choice: %q", key, value),
		"choose one of: "+strings.Join(known, ", "))
}

// CheckDim refuses directions of dim elements where s cannot make them.
func CheckDim(s noise.Source, site string, dim int) error {
	if m := noise.MaxDim(s); m > 0 && dim > m {
		return uierr.New(fmt.Sprintf("estimator.qmc: site %s has directions of %d elements and %s ends at %d",
			site, dim, s.Name(), m),
			"set estimator.qmc: none, keep structural_mask: true, or leave this site out")
	}
	return nil
}

// CheckCounts refuses runs whose pairs or sites would not fit a noise.Counter.
func CheckCounts(pairs, sites int) error {
	if pairs > noise.MaxPair {
		return uierr.New("budget.queries_per_image: "+fmt.Sprintf("one image may get %d directions, "+
			"more than the %d that the noise can number", pairs, noise.MaxPair),
			"lower budget.queries_per_image or train.batch_size")
	}
	if sites > noise.MaxSite {
		return uierr.New(fmt.Sprintf("sites: %d perturbed maps are more than the %d that the noise can number",
			sites, noise.MaxSite),
			"perturb fewer sites")
	}
	return nil
}
