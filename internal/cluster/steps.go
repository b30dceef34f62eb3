package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/flops-vit/flops/internal/journal/steps"
	"github.com/flops-vit/flops/internal/train"
)

// Begins is told that the run stands at a step; what was told of later ones is void.
func (c *Coordinator) Begins(step int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch = max(c.epoch+1, uint64(time.Now().UnixNano()))
	c.taken, c.job = step, nil
	for s := range c.records {
		if s >= step {
			delete(c.records, s)
		}
	}
	clear(c.digests)
	for len(c.snapshots) > 0 && c.snapshots[len(c.snapshots)-1].step > step {
		c.snapshots = c.snapshots[:len(c.snapshots)-1]
	}
	if n := len(c.snapshots); n == 0 || c.snapshots[n-1].step != step {
		c.keepSnapshot(step)
	}
	for _, w := range c.workers {
		c.answer(w, &reply{kind: again})
	}
}

// Saved is told that a checkpoint of a step is on the disk.
func (c *Coordinator) Saved(step int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepSnapshot(step)
}

// keepSnapshot offers a checkpoint to those who join, and forgets what is not needed
// behind the one before it.
func (c *Coordinator) keepSnapshot(step int) {
	if n := len(c.snapshots); n > 0 && c.snapshots[n-1].step == step {
		c.snapshots[n-1].object = "" // it was written anew
		return
	}
	c.snapshots = append(c.snapshots, snapshot{step: step})
	if n := len(c.snapshots); n > 2 {
		c.snapshots = c.snapshots[n-2:]
	}
	for s := range c.records {
		if s < c.snapshots[0].step {
			delete(c.records, s)
		}
	}
}

// Taken is told of a step's record once it is on the disk, and tells the workers.
func (c *Coordinator) Taken(rec *steps.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.note(int(rec.Step)); err != nil {
		return err
	}
	raw := rec.Encode().Body
	c.records[int(rec.Step)] = raw
	c.taken, c.job = int(rec.Step)+1, nil
	c.stats.Steps++
	for _, w := range c.workers {
		if w.parked != nil {
			c.serve(w, w.result)
		}
	}
	return nil
}

// note writes who answered what in a step, so that it is known after a restart whose
// steps are not to be trusted.
func (c *Coordinator) note(step int) error {
	if c.job == nil || c.answers == nil {
		return nil
	}
	by := map[string]int{}
	for _, e := range c.job.tasks {
		if e.by != 0 && !e.checked {
			by[fmt.Sprint(e.by)] += e.images
			if s, ok := c.first[e.by]; !ok || step < s {
				c.first[e.by] = step
			}
		}
	}
	if len(by) == 0 {
		return nil
	}
	line, err := json.Marshal(map[string]any{"step": step, "by": by})
	if err == nil {
		_, err = c.answers.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("cluster: who answered step %d: %w", step, err)
	}
	return nil
}

// openAnswers reads who answered what before, and goes on writing it.
func (c *Coordinator) openAnswers() error {
	path := filepath.Join(c.o.Dir, folder, "answers.jsonl")
	raw, err := os.ReadFile(path)
	if err == nil {
		for line := range bytes.Lines(raw) {
			var was struct {
				Step int            `json:"step"`
				By   map[string]int `json:"by"`
			}
			if json.Unmarshal(line, &was) != nil {
				continue // cut short by a kill
			}
			for name := range was.By {
				var id uint64
				if _, err := fmt.Sscan(name, &id); err == nil {
					if s, ok := c.first[id]; !ok || was.Step < s {
						c.first[id] = was.Step
					}
				}
			}
		}
	}
	c.answers, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// Each is told of every step after its update.
func (c *Coordinator) Each(t *train.Trainer) error {
	if t.Step%digestEvery != 0 {
		return nil
	}
	d := t.Digest()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.digests[t.Step] = d
	return nil
}
