package runs

import (
	"fmt"

	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/settings"
)

// Learned are numbers that one part of a run learned, with the names of its
// registration.
type Learned struct {
	Of     string           // its section of the config
	Params []settings.Param // parallel to Values
	Values []float64
}

// Learned lists what the parts of a run with this config had learned at the step,
// those that learn something.
func (m *StepMetrics) Learned(c config.Config) []Learned {
	var out []Learned
	for _, l := range []Learned{
		{"allocator", allocator.Learned(c.Allocator.Name), m.Alloc},
		{"estimator", lr.Learned(c.Estimator.Name), m.Estimator},
		{"objective", objective.Learned(c.Objective.Kind), m.Objective},
		{"optimizer", optim.Learned(c.Optimizer.Name), m.Optimizer},
	} {
		if len(l.Values) > 0 {
			l.Params = Named(l.Params, len(l.Values))
			out = append(out, l)
		}
	}
	return out
}

// Named are n parameters: the first ones as they were registered, and numbers for
// those that no name was given.
func Named(params []settings.Param, n int) []settings.Param {
	out := make([]settings.Param, n)
	for i := copy(out, params); i < n; i++ {
		out[i] = settings.Param{Name: fmt.Sprint("parameter ", i), Doc: "a number that this version has no name for"}
	}
	return out
}
