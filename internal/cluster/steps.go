package cluster

import (
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
	if c.owed != nil && step <= c.owed.From { // it has
		if err := c.jot(answered{Step: step, Back: true}); err != nil {
			c.warn(err.Error())
		}
		c.owed = nil
	}
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
	c.dispatch()
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
