package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
)

// Sharing is a train.Watcher that is told, now and then, who took part in a run.
type Sharing interface {
	Shared(s runs.Sharing)
}

// shareEvery is how often that is told and written.
const shareEvery = time.Second

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

// Clocked implements train.Clocked.
func (w watcher) Clocked(step int, seconds float64) {
	if next, ok := w.Watcher.(train.Clocked); ok {
		next.Clocked(step, seconds)
	}
}

// Stepped implements train.Watcher.
func (w watcher) Stepped(m *runs.StepMetrics, rate float64) {
	w.c.mu.Lock()
	w.c.loss = m.Loss
	due := time.Since(w.c.toldAt) >= shareEvery || m.Evaluated() || m.Step == w.c.x.Config.Train.Steps
	if due {
		w.c.toldAt = time.Now()
	}
	w.c.mu.Unlock()
	w.Watcher.Stepped(m, rate)
	if !due {
		return
	}
	s := w.c.sharing(m.Step)
	if err := w.c.write(s); err != nil { // nothing of the run depends on it
		w.c.warn(err.Error())
	}
	if next, ok := w.Watcher.(Sharing); ok {
		next.Shared(s)
	}
}

// sharing is who takes part after a step, with what processes before this one counted.
func (c *Coordinator) sharing(step int) runs.Sharing {
	t := c.Status()
	s := runs.Sharing{Step: step, Workers: len(t.Members), Tasks: t.Stats.Tasks, Copies: t.Stats.Copies,
		Queries: t.Stats.Queries, Own: t.Stats.Own, Wasted: t.Stats.Wasted, Verified: t.Stats.Verified, Lost: t.Stats.Lost,
		Banned: t.Stats.Banned, Up: t.Stats.Up, Down: t.Stats.Down}
	for _, m := range t.Members {
		s.Lag = max(s.Lag, step-m.Step)
	}
	s.Add(c.before)
	return s
}

// write adds a line to what the run folder tells of its machines; after a failure, none.
func (c *Coordinator) write(s runs.Sharing) error {
	if c.untold {
		return nil
	}
	line, err := json.Marshal(s)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(runs.SharingPath(c.o.Dir), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	}
	if err == nil {
		_, err = f.Write(append(line, '\n'))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		c.untold = true
		return fmt.Errorf("cluster: the page will not tell of every machine: %w", err)
	}
	return nil
}
