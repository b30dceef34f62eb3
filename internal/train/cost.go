package train

import (
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
)

// StepCost is what a whole step of the config's budget takes: the queries of
// its clean pass and its perturbations, and the floating-point operations of
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
	if x.Config.Budget.Unit == "operations" {
		asked.Queries = x.mostQueries(step)
	}
	e.Queries += asked.Queries
	e.FLOPs += asked.FLOPs
	return e
}

// mostQueries is what a step's operations pay for where the cheapest of its passes has
// them all.
func (x *Experiment) mostQueries(step int) int64 {
	var total, least int64
	plan := lr.Plan(x.Estimator, uint32(step))
	for _, p := range plan {
		cost := forward.QueryFLOPs(x.Model, p)
		total += int64(x.Config.PassQueries()) * cost
		if least == 0 || cost < least {
			least = cost
		}
	}
	if least == 0 {
		return int64(x.Config.PassQueries() * len(plan))
	}
	return total / least
}
