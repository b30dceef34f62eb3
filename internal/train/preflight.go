package train

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/bench"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/optim"
)

const (
	probeStep  = 1<<32 - 1   // the step of the probe's noise, which training never reaches
	probeTime  = time.Second // what the timed share of a step's queries may take
	probeFirst = 2           // queries of an image in the share that warms up: one antithetic pair
	probeClean = 3           // timed passes, of which the fastest counts
	// probeCold times probeTime: a first pass of less is taken again, for it pays for
	// buffers and cold caches.
	probeCold = 5
)

// Forecast is what a run is going to take.
type Forecast struct {
	Memory   int64         // most bytes that the process holds, weights and optimizer included
	Device   int64         // bytes of a device's own memory, 0 of none
	Step     time.Duration // one step, data and update included
	Evaluate time.Duration // one evaluation
	Total    time.Duration // from the first step to the last, with evaluations
}

// Preflight measures a clean pass and a bounded share of a step's queries, with
// the accumulation of their gradient, on the first batch, and scales them up to
// a step of the config. It neither changes the run nor counts in its ledger:
// the gradient is cleared again and the noise is of a step that training never
// takes. from is the number of updates made already.
func (x *Experiment) Preflight(ctx context.Context, from int) (*Forecast, error) {
	defer x.tryCache()()
	b, err := x.Loader.Batch(from)
	if err != nil {
		return nil, err
	}
	x.hold() // as the run's steps
	step, err := x.probeGradient(ctx, b)
	x.forget()
	if err != nil {
		return nil, err
	}
	evaluating, first, err := x.probeEvaluate(ctx, b)
	if err != nil {
		return nil, err
	}
	update, err := x.probeUpdate()
	if err != nil {
		return nil, err
	}
	f := &Forecast{Step: step + update}
	f.Evaluate = scale(evaluating, x.EvalCost(), int64(b.Size))
	c := x.Config.Train
	left := max(0, c.Steps-from)
	evals := 0
	if c.EvalEvery > 0 {
		evals = max(0, left-1) / c.EvalEvery
	}
	f.Total = time.Duration(left)*f.Step + time.Duration(evals)*f.Evaluate +
		scale(evaluating, x.EndCost(), int64(b.Size)) + scale(first, x.Cache.visited(left*c.BatchSize), int64(b.Size))
	// The optimizer's tensors are made at the first step, and the loaders keep
	// the images they have decoded.
	f.Memory = held() + 2*x.trainedBytes() + x.cached(left)
	if m, ok := x.Model.(interface{ Memory() int64 }); ok {
		f.Device = m.Memory()
	}
	if x.Cache.Mode == "memory" {
		f.Memory += x.Cache.Image * x.Cache.visited(left*c.BatchSize)
	}
	return f, nil
}

// probeEvaluate times the evaluation of a batch of which everything is kept that
// will be, and what the first visit takes besides.
func (x *Experiment) probeEvaluate(ctx context.Context, b *forward.Batch) (again, first time.Duration, err error) {
	evaluate := func(b *forward.Batch) (time.Duration, error) {
		return fastest(func() error {
			_, err := x.Model.Evaluate(ctx, b)
			return err
		})
	}
	if again, err = evaluate(b); err != nil || b.Memory == nil {
		return again, 0, err
	}
	if err := b.Memory.Fill(nil); err != nil {
		return 0, 0, err
	}
	whole := *b
	whole.Memory = nil
	first, err = evaluate(&whole)
	return again, max(0, first-again), err
}

// cached is what the decoded images of so many steps and an evaluation take.
func (x *Experiment) cached(steps int) int64 {
	if x.Local == nil {
		return 0
	}
	images := min(int64(x.TrainData.Len()), int64(steps)*int64(x.Config.Train.BatchSize)) + x.evalCost(true)
	side := int64(x.Local.Config.ImageSize)
	return min(data.DefaultCacheBytes, images*3*side*int64(x.Local.Config.Columns()))
}

func (x *Experiment) trainedBytes() int64 {
	var n int64
	for _, p := range x.Trained {
		n += 4 * int64(len(p.Data))
	}
	return n
}

// held is the high-water mark of the process, which the probe has raised to
// that of a step; what Go's runtime holds where the system does not say.
func held() int64 {
	if mib := bench.PeakMiB(); mib > 0 {
		return mib << 20
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}

func scale(d time.Duration, n, of int64) time.Duration {
	return time.Duration(float64(d) * float64(n) / float64(of))
}

// fastest is the least time of several calls: the first pays for buffers and
// cold caches, and a machine that others use takes longer now and then.
func fastest(f func() error) (time.Duration, error) {
	best, spent := time.Duration(1<<63-1), time.Duration(0)
	for i := range probeClean {
		began := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		d := time.Since(began)
		best, spent = min(best, d), spent+d
		if spent > probeTime && (i > 0 || d > probeCold*probeTime) {
			break
		}
	}
	return best, nil
}

// probeUpdate times the optimizer on a copy of the largest trained tensor and
// scales it up to all of them.
func (x *Experiment) probeUpdate() (time.Duration, error) {
	o, err := x.newOptimizer()
	if err != nil {
		return 0, err
	}
	if x.held != nil { // what the queries take is long beside it
		return 0, nil
	}
	var largest *forward.Param
	for _, p := range x.Trained {
		if largest == nil || len(p.Data) > len(largest.Data) {
			largest = p
		}
	}
	if largest == nil {
		return 0, nil
	}
	p := *largest
	p.Data, p.Grad = slices.Clone(p.Data), make([]float32, len(p.Data))
	for i := range p.Grad {
		p.Grad[i] = 1 // zeros would leave numbers that are slow to add to
	}
	d, err := fastest(func() error {
		one := []*forward.Param{&p}
		optim.Clip(one, 0)
		o.Step(one, 1e-3)
		return finite(one)
	})
	return scale(d, x.trainedBytes(), 4*int64(len(p.Data))), err
}

// probeGradient times the clean pass and, with equal shares, as many of a step's
// queries with their accumulation as fit probeTime.
func (x *Experiment) probeGradient(ctx context.Context, b *forward.Batch) (time.Duration, error) {
	var s *lr.Step
	clean, err := fastest(func() (err error) {
		if x.held == nil {
			x.Model.Touch() // as every update does
		}
		s, err = lr.Prepare(ctx, x.Model, x.Estimator, probeStep, b)
		return err
	})
	if err != nil || !s.Asks(x.Estimator) {
		return clean, err
	}
	s.Counts = make([]int, b.Size)
	ask := func(n int) error {
		for i := range s.Counts {
			s.Counts[i] = n
		}
		r, err := lr.Ask(ctx, x.Model, x.Estimator, s)
		if err == nil {
			_, err = lr.Apply(ctx, x.Model, x.Estimator, s, r.Records)
		}
		return err
	}
	want := max(1, x.Config.PassQueries()/b.Size)
	n := min(want, probeFirst)
	d, err := fastest(func() error { return ask(n) })
	if err != nil {
		return 0, err
	}
	if fit := int(float64(n) * float64(probeTime) / float64(d)); fit > n && want > n {
		n = min(want, fit-fit%2)
		if d, err = fastest(func() error { return ask(n) }); err != nil {
			return 0, err
		}
	}
	return clean + time.Duration(float64(d)*float64(want)/float64(n)*x.typical(lr.Sites(x.Estimator, probeStep))), nil
}

// typical is the cost of a usual step's suffixes over that of the probed
// step's, of these sites, which differ where a step draws one site.
func (x *Experiment) typical(probed []int) float64 {
	if len(probed) != 1 || len(x.Selection.Sites) == 1 || x.Config.Estimator.Schedule != "random_site" {
		return 1
	}
	var sum float64
	for _, i := range x.Selection.Sites {
		sum += float64(x.Model.Sites()[i].FLOPs)
	}
	return sum / float64(len(x.Selection.Sites)) / float64(x.Model.Sites()[probed[0]].FLOPs)
}
