package train

import (
	"fmt"
	"math"

	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/uierr"
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

// reserved is what evaluations take after a step and at the end, which is kept of
// budget.max_queries.
func (x *Experiment) reserved(step int) int64 {
	n := x.EndCost()
	if x.evalDue(step+1) && step+1 < x.Config.Train.Steps {
		n += x.EvalCost()
	}
	return n
}

// CheckBudget refuses a new run whose budget.max_queries does not pay for a step and the
// evaluations after it. A called model counts for itself.
func (x *Experiment) CheckBudget() error {
	c, evals := x.Config, x.reserved(0)
	most := c.Budget.MaxQueries
	begin := x.BeginCost().Queries
	if most == 0 || x.remote != nil || NewTrainer(x).fits(most-evals-begin) > 0 {
		return nil
	}
	step := x.StepCost(0).Queries
	if _, ok := x.twoSided(); !ok {
		least := min(c.LeastPass(), c.QueriesAt(0))
		step = int64(c.Train.BatchSize + x.Sharer.Least(len(lr.Plan(x.Estimator, 0)), c.Train.BatchSize, least))
	}
	hint := fmt.Sprintf("give at least %d, %d of them for evaluations, which train.eval_images makes smaller",
		begin+step+evals, evals)
	if begin > 0 {
		hint += fmt.Sprintf(", and %d for the directions of cores, of which sites.core_images says how many", begin)
	}
	return uierr.New(fmt.Sprintf("budget.max_queries: %d do not pay for a step and the evaluations after it", most), hint)
}

// BeginCost is what a run takes before its first step: the clean passes that said in which
// directions cores lie.
func (x *Experiment) BeginCost() lr.Cost {
	n := int64(x.cores.images)
	return lr.Cost{Queries: n, FLOPs: n * x.Model.ForwardFLOPs()}
}

// costSteps is of how many steps RunCost makes its sum, at most.
const costSteps = 10_000

// RunCost is BeginCost and StepCost of all the steps of a run of so many: steps differ by
// budget.early, by the site that is drawn, and while feedback warms up. Of a very long run it is that of
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
	all, begin := float64(steps)/float64(max(1, n)), x.BeginCost()
	return lr.Cost{Queries: begin.Queries + int64(math.Round(queries*all)),
		FLOPs: begin.FLOPs + int64(math.Round(flops*all))}
}
