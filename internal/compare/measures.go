package compare

import (
	"math"

	"github.com/flops-vit/flops/internal/metric"
)

// MeasuresOf lists the numbers that some run was measured by besides, each once,
// in the order in which the arms have them. Their V is none.
func MeasuresOf(arms []ArmResult) (out []metric.One) {
	seen := map[string]bool{}
	for _, a := range arms {
		for _, r := range a.Runs {
			for _, o := range append(r.Metrics.Ones(), r.ValidationMetrics.Ones()...) {
				if !seen[o.Tag] {
					seen[o.Tag], o.Value = true, math.NaN()
					out = append(out, o)
				}
			}
		}
	}
	return out
}

// Measured is the mean of a number over the seeds, NaN where a run has it not.
func (a ArmResult) Measured(tag string) Mean {
	v := make([]float64, len(a.Runs))
	for i, r := range a.Runs {
		v[i] = NumberOf(r.Metrics, tag)
	}
	return MeanOf(v)
}

// NumberOf is the number of a tag, NaN where it was not measured.
func NumberOf(v metric.Values, tag string) float64 {
	for _, o := range v.Ones() {
		if o.Tag == tag {
			return o.Value
		}
	}
	return math.NaN()
}
