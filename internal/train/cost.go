package train

import (
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/query"
)

// StepCost is what a whole step of the config's budget takes: the queries of
// its clean pass and its perturbations, and the floating-point operations of
// these and, for bp, of the backward pass. The time is not predicted.
func (x *Experiment) StepCost(step int) lr.Entry {
	b := int64(x.Config.Train.BatchSize)
	e := lr.Entry{Queries: b, FLOPs: b * x.Model.ForwardFLOPs()}
	plan := x.Estimator.Plan(uint32(step))
	for _, p := range plan {
		n := b * int64(x.Config.Budget.QueriesPerImage)
		e.Queries += n
		e.FLOPs += n * lr.QueryFLOPs(x.Model, p)
	}
	if d, ok := x.Model.(query.Differentiable); ok && len(plan) == 0 {
		e.FLOPs += b * d.BackwardFLOPs()
	}
	return e
}
