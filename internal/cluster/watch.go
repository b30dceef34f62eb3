package cluster

import (
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
)

// watcher hears how a run goes before another does.
type watcher struct {
	train.Watcher
	c *Coordinator
}

// Watch tells the coordinator how the run goes, and next.
func (c *Coordinator) Watch(next train.Watcher) train.Watcher { return watcher{next, c} }

// Begins implements train.Watcher.
func (w watcher) Begins(step int) {
	w.c.Begins(step)
	w.Watcher.Begins(step)
}

// Saved implements train.Watcher.
func (w watcher) Saved(step int, dir string) {
	w.c.Saved(step)
	w.Watcher.Saved(step, dir)
}

// Stepped implements train.Watcher.
func (w watcher) Stepped(m *runs.StepMetrics, rate float64) {
	w.c.mu.Lock()
	w.c.loss = m.Loss
	w.c.mu.Unlock()
	w.Watcher.Stepped(m, rate)
}
