package main

import (
	"math"

	"github.com/flops-vit/flops/internal/metric"
)

// init registers a metric that is in this file alone. The script metrics.txtar
// finds it in the table of eval, summary.csv, metrics.jsonl, run.log, the page,
// TensorBoard and every file of a comparison, none of which knows of it.
func init() {
	metric.Register(metric.Metric{Name: "spread", Title: "output spread", About: "mean distance of the extreme outputs",
		Better: metric.Lower, Needs: metric.Logits, At: []int{1, 3}, Each: "power",
		New: func(t metric.Task) metric.Accumulator { return &spread{width: t.Outputs} }})
}

type spread struct {
	width     int
	one, cube float64
	n         int
}

func (s *spread) Add(b *metric.Batch) error {
	for i := range b.Size {
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, v := range b.Outputs[i*s.width : (i+1)*s.width] {
			lo, hi = min(lo, float64(v)), max(hi, float64(v))
		}
		s.one, s.cube, s.n = s.one+hi-lo, s.cube+math.Pow(hi-lo, 3), s.n+1
	}
	return nil
}

func (s *spread) Value() []float64 { return []float64{s.one / float64(s.n), s.cube / float64(s.n)} }
