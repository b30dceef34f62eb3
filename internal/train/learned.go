package train

import (
	"math"
	"strings"

	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/settings"
)

// learned notes what the parts of the experiment have learned.
func (x *Experiment) learned(m *runs.StepMetrics) {
	m.Estimator, m.Objective = settings.ParamsOf(x.Estimator), settings.ParamsOf(x.loss)
	m.Optimizer = settings.ParamsOf(x.Optimizer)
}

// Kept are the norms of the tensors that the optimizer keeps, over all parameters
// together.
func (t *Trainer) Kept() runs.Learned {
	l := runs.Learned{Of: "optimizer", Params: optim.Kept(t.X.Config.Optimizer.Name)}
	state := t.X.Optimizer.State()
	for _, p := range l.Params {
		var sq float64
		for name, tensor := range state {
			if strings.HasSuffix(name, "."+p.Name) {
				for _, v := range tensor {
					sq += float64(v) * float64(v)
				}
			}
		}
		l.Values = append(l.Values, math.Sqrt(sq))
	}
	return l
}
