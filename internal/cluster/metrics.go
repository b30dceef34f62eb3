package cluster

import (
	"io"

	"github.com/flops-vit/flops/internal/prometheus"
)

// WriteMetrics writes the run's counts in Prometheus' format.
func (c *Coordinator) WriteMetrics(w io.Writer) {
	s := c.Status()
	lag := 0
	for _, m := range s.Members {
		lag = max(lag, s.Step-m.Step)
	}
	prometheus.Write(w, map[string]float64{
		"flops_step":                              float64(s.Step),
		"flops_steps_total":                       float64(s.Of),
		"flops_loss":                              s.Loss,
		"flops_workers":                           float64(len(s.Members)),
		"flops_worker_lag_steps":                  float64(lag),
		"flops_tasks_total":                       float64(s.Stats.Tasks),
		"flops_task_copies_total":                 float64(s.Stats.Copies),
		"flops_queries_total{by=\"workers\"}":     float64(s.Stats.Queries),
		"flops_queries_total{by=\"coordinator\"}": float64(s.Stats.Own),
		"flops_queries_wasted_total":              float64(s.Stats.Wasted),
		"flops_results_verified_total":            float64(s.Stats.Verified),
		"flops_workers_lost_total":                float64(s.Stats.Lost),
		"flops_workers_banned_total":              float64(s.Stats.Banned),
		"flops_bytes_total{way=\"up\"}":           float64(s.Stats.Up),
		"flops_bytes_total{way=\"down\"}":         float64(s.Stats.Down),
	})
}

// WriteMetrics writes the worker's counts in Prometheus' format.
func (w *Worker) WriteMetrics(out io.Writer) {
	prometheus.Write(out, map[string]float64{
		"flops_step": float64(w.At.Load()), "flops_tasks_total": float64(w.Tasks.Load()),
		"flops_queries_total{by=\"worker\"}": float64(w.Queries.Load()),
		"flops_results_known_total":          float64(w.Known.Load()), "flops_results_stale_total": float64(w.Stale.Load()),
	})
}
