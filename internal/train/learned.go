package train

import (
	"math"
	"slices"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/settings"
)

// learned notes what the parts of the experiment have learned.
func (x *Experiment) learned(m *runs.StepMetrics) {
	m.Estimator, m.Objective = settings.ParamsOf(x.Estimator), settings.ParamsOf(x.loss)
	m.Optimizer = settings.ParamsOf(x.Optimizer)
	if p := lr.Predictor(x.Estimator); p != nil {
		m.Residual, m.Unused = x.residuals(p)
	}
}

// residuals are what a surrogate leaves at each site, by their names, and the sites
// where it left more than there was.
func (x *Experiment) residuals(p forward.Surrogate) (share map[string]float64, unused []string) {
	share = map[string]float64{}
	for site, r := range p.Residuals() {
		name := x.Model.Sites()[site].Name
		share[name] = r.Share
		if !r.Used {
			unused = append(unused, name)
		}
	}
	slices.Sort(unused)
	return share, unused
}

// Kept are the norms of the tensors that the optimizer keeps, over all parameters
// together; of a device that does not say, as it was last known.
func (t *Trainer) Kept() runs.Learned {
	_ = t.X.settle() // a broken device ends the next step, with its error
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
