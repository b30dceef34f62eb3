package train

import (
	"math"

	"github.com/flops-vit/flops/internal/lr"
)

// StepCost is what a whole step of the config's budget takes at equal shares: the queries
// of its clean pass and its perturbations, and the floating-point operations of
// these and, for bp, of the backward pass. Of images
// that are kept the frozen part is left out, which is made at the first visit alone.
// The time is not predicted.
func (x *Experiment) StepCost(step int) lr.Cost {
	b := int64(x.Config.Train.BatchSize)
	if two, ok := x.twoSided(); ok {
		return lr.Cost{Queries: two.StepQueries(lr.Plan(x.Estimator, uint32(step)), int64(x.Config.Budget.QueriesPerImage))}
	}
	e := lr.Cost{Queries: b, FLOPs: b * (x.Model.ForwardFLOPs() - x.Cache.spared())}
	asked := x.Estimator.Cost(x.Model, uint32(step), b, int64(x.Config.QueriesAt(step)))
	e.Queries += asked.Queries
	e.FLOPs += asked.FLOPs
	return e
}

// costSteps is of how many steps RunCost makes its sum, at most.
const costSteps = 10_000

// RunCost is StepCost of all the steps of a run of so many: steps differ by budget.early,
// by the site that is drawn, and while feedback warms up. Of a very long run it is that of
// steps as far apart as each other, for all of them.
func (x *Experiment) RunCost(steps int) (c lr.Cost) {
	y := *x
	y.Config.Train.Steps = steps
	n := min(steps, costSteps)
	var queries, flops float64
	for k := range n {
		at := y.StepCost(int(int64(k) * int64(steps-1) / int64(max(1, n-1))))
		queries, flops = queries+float64(at.Queries), flops+float64(at.FLOPs)
	}
	all := float64(steps) / float64(max(1, n))
	return lr.Cost{Queries: int64(math.Round(queries * all)), FLOPs: int64(math.Round(flops * all))}
}
