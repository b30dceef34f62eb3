package config

import "github.com/flops-vit/flops/internal/lr"

// Smoke shrinks an experiment to seconds: a few steps of few queries on small
// batches and evaluations, with everything else as it is, so that the whole
// path of the real run is taken.
func Smoke(c *Config) {
	least := func(v *int, most int) { *v = min(*v, most) }
	if n, steps := lr.FeedbackWarmup.Of(c.Estimator.Own), c.Train.Steps; n > 0 && steps > 3 { // the last step updates
		c.Estimator.Own = lr.FeedbackWarmup.With(c.Estimator.Own, min(2, (3*n+steps-1)/steps))
	}
	least(&c.Train.Steps, 3)
	least(&c.Train.BatchSize, 8)
	if !c.Draws() {
		c.Budget.QueriesPerImage = max(float64(c.Allocator.MinQueries), min(c.Budget.QueriesPerImage, 4))
	}
	if c.Budget.MaxQueries > 0 {
		c.Budget.MaxQueries = min(c.Budget.MaxQueries, 2000)
	}
	if c.Train.EvalImages == 0 || c.Train.EvalImages > 32 {
		c.Train.EvalImages = 32
	}
	c.Train.EvalEvery = min(c.Train.EvalEvery, 2)
	c.Checkpoint.Every = min(c.Checkpoint.Every, 2)
	least(&c.Data.Count, 64)
	least(&c.Data.TestCount, 32)
}
