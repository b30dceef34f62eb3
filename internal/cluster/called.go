package cluster

import (
	"context"
	"slices"

	"github.com/flops-vit/flops/internal/remote"
)

// A model that can only be called is asked by whoever takes part: a worker has an address
// of its own for it. What is to be asked travels as names (remote.Name), what the model says
// comes back; the budget, the answers that are kept and the ledger stay the run's, and no
// answer is asked for twice to check it, since each costs.

// call is a request of a called model.
type call struct {
	names  []remote.Name
	floats int            // of the answer
	answer chan []float32 // nil comes through it where the coordinator is to ask itself
	again  int            // images that were asked about in vain
}

// group is the calls that a worker was given at a time.
type group struct {
	by    uint64
	calls []*call
}

// calls are what a run's called model is to be asked.
type calls struct {
	queue   []*call
	groups  map[uint32]*group // by their numbers
	number  uint32
	running int // requests of the coordinator
	most    int // of them at once
}

// callPart stands for the part in the results of calls.
const callPart = 1<<16 - 1

// Room implements remote.Elsewhere.
func (c *Coordinator) Room() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	if c.c.Work {
		n = c.calls.most
	}
	for _, w := range c.workers {
		if c.alive(w) {
			n += w.Room
		}
	}
	return n
}

// Answer implements remote.Elsewhere.
func (c *Coordinator) Answer(ctx context.Context, names []remote.Name, here func(context.Context) error,
	out []float32) (again int, err error) {
	k := &call{names: names, floats: len(out), answer: make(chan []float32, 1)}
	c.mu.Lock()
	c.calls.queue = append(c.calls.queue, k)
	c.call()
	c.mu.Unlock()
	select {
	case v := <-k.answer:
		if v != nil {
			copy(out, v)
			return k.again, nil
		}
		err := here(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls.running--
		if err == nil {
			c.stats.Own += int64(len(names))
		}
		c.call()
		return k.again, err
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls.queue = slices.DeleteFunc(c.calls.queue, func(o *call) bool { return o == k })
		return k.again, ctx.Err()
	}
}

// call gives calls that wait to whoever is free.
func (c *Coordinator) call() {
	q := &c.calls
	for c.c.Work && q.running < q.most && len(q.queue) > 0 {
		k := q.queue[0]
		q.queue = q.queue[1:]
		q.running++
		k.answer <- nil
	}
	if len(q.queue) > 0 {
		c.dispatch()
	}
}

// nextCalls are the calls that a worker is to do next, nil where none wait.
func (c *Coordinator) nextCalls(w *worker) (number uint32, g *group) {
	q := &c.calls
	n := min(len(q.queue), w.Room, (len(q.queue)+c.participants()-1)/c.participants())
	if n == 0 {
		return 0, nil
	}
	g = &group{by: w.id, calls: slices.Clone(q.queue[:n])}
	q.queue = slices.Delete(q.queue, 0, n)
	q.number++
	if q.groups == nil {
		q.groups = map[uint32]*group{}
	}
	q.groups[q.number] = g
	return q.number, g
}

// takeCalls judges the answers to a group.
func (c *Coordinator) takeCalls(w *worker, x *result) verdict {
	g := c.calls.groups[x.first]
	if g == nil || g.by != w.id {
		return stale
	}
	n, floats := 0, 0
	for _, k := range g.calls {
		n, floats = n+len(k.names), floats+k.floats
	}
	if len(x.losses) != floats || !finite(x.losses) {
		return stale // the group is given to somebody else
	}
	delete(c.calls.groups, x.first)
	w.Queries += int64(n)
	c.stats.Queries += int64(n)
	at := 0
	for _, k := range g.calls {
		k.answer <- x.losses[at : at+k.floats : at+k.floats]
		at += k.floats
	}
	return accepted
}

// loseCalls has the calls that a worker was given done by somebody else. It may have asked.
func (c *Coordinator) loseCalls(id uint64) {
	lost := false
	for number, g := range c.calls.groups {
		if g.by != id {
			continue
		}
		delete(c.calls.groups, number)
		for _, k := range g.calls {
			k.again += len(k.names)
		}
		c.calls.queue = append(slices.Clone(g.calls), c.calls.queue...)
		lost = true
	}
	if lost {
		c.call()
	}
}
