package cluster

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/flops-vit/flops/internal/train"
)

// take judges a result.
func (c *Coordinator) take(w *worker, x *result) verdict {
	if x.part == callPart {
		return c.takeCalls(w, x)
	}
	j := c.job
	if j == nil || int(x.step) != j.step {
		return stale
	}
	e := j.tasks[key{int(x.part) - j.number, int(x.first) - j.base, int(x.images)}]
	if e == nil {
		return stale
	}
	counts, operations := j.queries(e.key)
	n := 0
	for _, q := range counts {
		n += q
	}
	at, mine := e.issued[w.id]
	if !mine || n*j.width != len(x.losses) {
		return stale
	}
	w.speed.seen(operations, float64(x.micros)/1e6)
	w.Queries += int64(n)
	if e.done || e.claim != nil {
		c.stats.Wasted += int64(n)
		return known
	}
	c.timed(time.Since(at))
	c.stats.Queries += int64(n)
	if !w.passed || c.rand.Float64() < c.c.Verify || !finite(x.losses) {
		e.claim, e.by = x.losses, w.id
		j.verify = append(j.verify, e)
		c.stats.Verified++
	} else {
		j.put(e, x.losses, w.id, false)
	}
	c.poke()
	return accepted
}

// finite says that all are numbers.
func finite(v []float32) bool {
	for _, x := range v {
		if x-x != 0 { // NaN for both
			return false
		}
	}
	return true
}

// timed notes how long a task took.
func (c *Coordinator) timed(d time.Duration) {
	if len(c.durations) == recent {
		c.durations = c.durations[1:]
	}
	c.durations = append(c.durations, d.Seconds())
}

// agree says whether a worker's losses are those that were computed here.
func (c *Coordinator) agree(a, b []float32) bool {
	for i, v := range a {
		if math.Float32bits(v) == math.Float32bits(b[i]) {
			continue
		}
		// Other arithmetic differs in the last digits, by which queries differ too.
		if c.c.Numerics == "strict" || !(math.Abs(float64(v-b[i])) <= 1e-3*(1+math.Abs(float64(b[i])))) {
			return false
		}
	}
	return true
}

// wrong is why a worker is banned.
const wrong = "an answer of it is wrong"

// ban ends a worker whose answer is wrong. What it said in this step counts no more; the
// error, if any, has the run go back to before what it said in others.
func (c *Coordinator) ban(id uint64, step int) error {
	name := fmt.Sprint(id)
	if w := c.workers[id]; w != nil {
		name = w.Name
		c.answer(w, &reply{kind: leave, piece: []byte(wrong)})
		c.drop(w)
	}
	c.banned[id] = wrong
	c.stats.Banned++
	c.job.discard(id)
	line := fmt.Sprintf("cluster: worker %s answered wrongly in step %d and is banned", name, step)
	from, ok := c.first[id]
	delete(c.first, id)
	if ok && from < step {
		c.owed = &train.Back{From: from, Why: line}
		return errors.Join(c.jot(answered{Step: step, Banned: id}), c.owed)
	}
	c.warn(line)
	return nil
}

// drop forgets a worker.
func (c *Coordinator) drop(w *worker) {
	delete(c.workers, w.id)
	c.lose(w.id)
}

// lose has the tasks of a worker given to others.
func (c *Coordinator) lose(id uint64) {
	c.loseCalls(id)
	if c.job == nil {
		return
	}
	for _, e := range c.job.tasks {
		if _, has := e.issued[id]; has && !e.done && e.claim == nil {
			delete(e.issued, id)
			if len(e.issued) == 0 {
				c.job.again = append(c.job.again, e)
			}
		}
	}
	c.poke()
}
