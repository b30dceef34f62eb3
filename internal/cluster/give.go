package cluster

import (
	"fmt"
	"time"
)

// serve answers a request that stands open: with a record, a task, or not yet.
func (c *Coordinator) serve(w *worker, v verdict) {
	r := &reply{verdict: v}
	switch at := w.Step; {
	case c.ended:
		r.kind = done
	case at > c.taken:
		r.kind = again
	case at < c.taken:
		raw, ok := c.records[at]
		if !ok {
			r.kind = again
			break
		}
		off := min(int(w.have), len(raw))
		r.kind, r.step, r.length, r.offset = record, uint32(at), uint32(len(raw)), uint32(off)
		r.piece = raw[off:min(len(raw), off+maxPiece)]
	default:
		if d, ok := c.digests[at]; ok && w.digest != nil && *w.digest != d && c.c.Numerics == "strict" {
			r.kind, r.piece = leave, fmt.Appendf(nil, "its weights after step %d are not the run's", at)
			c.drop(w)
			break
		}
		if number, g := c.nextCalls(w); g != nil {
			r.kind, r.step, r.first = asks, uint32(at), number
			for _, k := range g.calls {
				r.names = append(r.names, k.names...)
			}
			c.stats.Tasks++
			w.Tasks++
			break
		}
		e := c.next(w)
		if e == nil {
			r.kind = wait
			if time.Since(w.since) < parkTime {
				w.result = v
				return // stays parked
			}
			break
		}
		r.kind, r.step, r.part, r.first = task, uint32(at), uint16(c.job.number+e.part), uint32(c.job.base+e.first)
		counts, _ := c.job.queries(e.key)
		for _, n := range counts {
			r.counts = append(r.counts, uint32(n))
		}
		e.issued[w.id] = time.Now()
		c.stats.Tasks++
		if len(e.issued) > 1 {
			c.stats.Copies++
		}
		w.Tasks++
	}
	c.answer(w, r)
}

// answer sends a reply to the request that stands open, if one does.
func (c *Coordinator) answer(w *worker, r *reply) {
	if w.parked == nil {
		return
	}
	b := r.encode()
	c.stats.Down += int64(len(b))
	respond(w.parked, b)
	if w.parked = nil; r.kind == done {
		delete(c.workers, w.id) // it needs to hear no more
	}
}

// next is a task for a worker, nil where there is none, or none that it would answer in
// time.
func (c *Coordinator) next(w *worker) *entry {
	j := c.job
	if j == nil || w.Step != j.step {
		return nil
	}
	if e := j.reissue(w.id); e != nil {
		return e
	}
	if len(j.queue) == 0 || c.tooSlow(w) {
		return nil
	}
	return j.cut(c.share1(w.speed), c.o.Images)
}

// share1 is the operations of a task for a speed: what takes cluster.task, but no more
// than leaves everybody something to do.
func (c *Coordinator) share1(s speed) float64 {
	if s == 0 {
		return 0 // one image, to see how fast it is
	}
	all := float64(c.participants())
	return min(float64(s)*c.task.Seconds(), c.job.waiting()/(2*all))
}

// participants is how many answer queries.
func (c *Coordinator) participants() int {
	n := 1
	for _, w := range c.workers {
		if c.alive(w) {
			n++
		}
	}
	return n
}

func (c *Coordinator) alive(w *worker) bool { return time.Since(w.seen) < c.ackWait }

// tooSlow says that a worker would still be at its task when the others have done
// everything else.
func (c *Coordinator) tooSlow(w *worker) bool {
	rest := 0.0
	if c.c.Work {
		rest = float64(c.own)
	}
	for _, o := range c.workers {
		if o != w && c.alive(o) {
			rest += float64(o.speed)
		}
	}
	if w.speed == 0 || rest == 0 {
		return false
	}
	s := c.job.queue[0]
	_, least := c.job.queries(key{s.part, s.first, 1})
	return least/float64(w.speed) > 2*c.job.waiting()/rest+c.task.Seconds()
}
