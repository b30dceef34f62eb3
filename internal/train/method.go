package train

import (
	"fmt"
	"slices"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/directions"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// openMethod builds what turns queries into updates.
func (x *Experiment) openMethod() (err error) {
	c := x.Config
	if x.Selection, err = Select(c.Sites, x.Model); err != nil {
		return err
	}
	src, err := x.noiseSource()
	if err != nil {
		return err
	}
	o := lr.Options{Schedule: c.Estimator.Schedule, Antithetic: c.Estimator.Antithetic, Sigma: c.Estimator.Sigma,
		Sites: x.Selection.Sites, Params: x.Selection.All(), Direct: x.Selection.Direct,
		Seed: uint64(c.Train.Seed), Noise: src, Own: c.Estimator.Own}
	for _, i := range x.Selection.All() {
		p := x.Model.Params()[i]
		if p.Grad = make([]float32, len(p.Data)); !slices.Contains(x.Selection.Adapted, i) {
			x.Trained = append(x.Trained, p)
		}
	}
	if err = x.openAdapters(); err != nil {
		return err
	}
	if t := x.learnedTemperature(); t != nil {
		t.Grad = make([]float32, len(t.Data))
		x.Trained = append(x.Trained, t)
	}
	if x.Estimator, err = lr.New(c.Estimator.Name, x.Model, o); err != nil {
		return err
	}
	if x.Sharer, err = newSharer(c, x.Warn); err != nil {
		return err
	}
	x.Allocator = x.Sharer.Allocator()
	if _, asks := x.Estimator.(lr.Asker); asks && x.Allocator.Needs().Features && x.Local == nil {
		return uierr.New(fmt.Sprintf("allocator.features: a %s model shows its answers alone, and the %s allocator looks at more",
			c.Model.Kind, c.Allocator.Name), "set allocator.features: loss")
	}
	if err = x.checkDirections(src); err != nil {
		return err
	}
	x.warnUnmoved()
	x.warnWarming()
	if x.Optimizer, err = x.newOptimizer(); err != nil {
		return err
	}
	x.openAverage()
	x.Schedule = optim.Schedule{Kind: c.Optimizer.Schedule, LR: c.Optimizer.LR, MinLR: c.Optimizer.MinLR, Warmup: c.Optimizer.Warmup,
		Steps: c.Train.Steps, Every: c.Optimizer.StepSize, Gamma: c.Optimizer.Gamma}
	return x.Schedule.Check()
}

// newOptimizer is the config's optimizer, with nothing in its memory.
func (x *Experiment) newOptimizer() (optim.Optimizer, error) {
	c := x.Config
	return optim.New(c.Optimizer.Name, optim.Options{WeightDecay: c.Optimizer.WeightDecay, Workers: Threads(c),
		Own: c.Optimizer.Own})
}

// checkDirections refuses more directions than the noise can number, and noise
// that a low-discrepancy sequence cannot make.
func (x *Experiment) checkDirections(src noise.Source) error {
	e, ok := x.Estimator.(lr.Asker)
	if !ok {
		return nil
	}
	if err := directions.CheckCounts(mostDirections(x.Config, len(e.Plan(0))), len(x.Model.Sites())); err != nil {
		return err
	}
	for _, p := range e.Plan(0) {
		for _, i := range p.Params {
			if err := directions.CheckDim(src, x.Model.Params()[i].Name, len(x.Model.Params()[i].Data)); err != nil {
				return err
			}
		}
		for _, i := range p.Sites {
			s := x.Model.Sites()[i]
			rows := s.Live
			if !x.Config.Estimator.StructuralMask {
				rows = s.Rows
			}
			if err := directions.CheckDim(src, s.Name, rows*s.Dim()); err != nil {
				return err
			}
		}
	}
	return nil
}

// mostDirections is the most that one image may get of a perturbation: all that
// its batch has but the others' least; where perturbations differ, of all of them.
func mostDirections(c config.Config, passes int) int {
	n := c.QueriesAt(0)
	switch {
	case c.Allocator.Scope != alloc.ByImage:
		n *= passes
	case !c.Draws():
		n -= (c.Train.BatchSize - 1) * c.Allocator.MinQueries
	default:
		n = 1
	}
	if c.Estimator.Antithetic {
		n = (n + 1) / 2
	}
	return n
}

// NewAllocator makes the allocator of a name with a config's settings.
func NewAllocator(c config.Config, name string, warn func(string)) (alloc.Allocator, error) {
	return allocator.New(name, allocatorOptions(c, warn))
}

// allocatorOptions are a config's settings of every allocator.
func allocatorOptions(c config.Config, warn func(string)) allocator.Options {
	a := c.Allocator
	return allocator.Options{MinQueries: a.MinQueries, Even: c.Estimator.Antithetic, Fallback: a.Fallback,
		Window: a.Window, Warn: warn, Own: a.Own}
}
