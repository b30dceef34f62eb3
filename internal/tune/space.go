package tune

import (
	"slices"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/internal/config"
)

// axesOf are the settings that are tried of an experiment: those asked for, or the
// rate and the scale of the noise around what it says.
func axesOf(c config.Config, over []Axis) []Axis {
	if len(over) > 0 {
		return over
	}
	return []Axis{{rateKey, around(c.Optimizer.LR, rateValues)}, {sigmaKey, around(c.Estimator.Sigma, sigmaValues)}}
}

// fit takes from axes what an experiment without queries does not read, and gives
// the rate as many values more, over the same range, so that it has as many tries.
func fit(c config.Config, axes []Axis, asks bool) []Axis {
	if asks {
		return axes
	}
	n := tries(axes)
	var out []Axis
	for _, a := range axes {
		if !slices.ContainsFunc([]string{"estimator.", "allocator.", "budget."}, func(section string) bool {
			return strings.HasPrefix(a.Key, section)
		}) {
			out = append(out, a)
		}
	}
	more := n - tries(out)
	if more == 0 {
		return out
	}
	at := slices.IndexFunc(out, func(a Axis) bool { return a.Key == rateKey })
	if at < 0 {
		return append([]Axis{{rateKey, around(c.Optimizer.LR, more+1)}}, out...)
	}
	out = slices.Clone(out)
	out[at] = Axis{rateKey, widened(out[at].Values, more)}
	return out
}

// widened are as many values more over the range of numbers.
func widened(values []string, more int) []string {
	lo, hi := 0.0, 0.0
	for i, v := range values {
		x, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return values // a variable of the environment, or a mistake that is told of elsewhere
		}
		if i == 0 || x < lo {
			lo = x
		}
		hi = max(hi, x)
	}
	if lo == hi {
		lo, hi = lo/10, hi*10
	}
	return geometric(lo, hi, len(values)+more)
}
