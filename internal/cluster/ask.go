package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
)

// share is a model whose queries are answered by whoever takes part.
func (c *Coordinator) share(m query.Model) query.Model {
	return shared{query.AnsweredBy(m, func(b *forward.Batch, p forward.Pass) forward.Evaluator {
		return &asker{c, m, b, p}
	}), c}
}

// asker answers the queries of a pass by tasks, some of which it does itself.
type asker struct {
	c *Coordinator
	m query.Model
	b *forward.Batch
	p forward.Pass
}

// Losses implements forward.Evaluator. What is asked outside a step's plan is answered
// here.
func (a *asker) Losses(ctx context.Context, p *forward.Perturbation, q []forward.Query, out []float32) error {
	return a.p.Losses(ctx, p, q, out)
}

// AskTogether implements forward.Together: the questions of a step.
func (a *asker) AskTogether(ctx context.Context, all []forward.Questions) error {
	c := a.c
	if len(all) == 0 {
		return nil
	}
	j, ok := newJob(int(all[0].Perturbation.Step), all, a.b.Size, c.x.Config.Estimator.Antithetic,
		func(p *forward.Perturbation) int64 { return forward.QueryFLOPs(a.m, *p) })
	if !ok {
		for _, q := range all {
			if err := q.Answer(ctx, a.p); err != nil {
				return err
			}
		}
		return nil
	}
	j.answer = func(ctx context.Context, e *entry, out []float32) error {
		counts, _ := j.queries(e.key)
		q := forward.Planned(nil, e.first, counts, c.x.Config.Estimator.Antithetic)
		return questions(j.asked[e.part].Perturbation, q, out).Answer(ctx, a.p)
	}
	return c.do(ctx, j)
}

// questions are queries whose answers go into numbers: losses, and then outputs where there
// is room for them.
func questions(p *forward.Perturbation, q []forward.Query, numbers []float32) forward.Questions {
	a := forward.Questions{Perturbation: p, Queries: q, Losses: numbers[:len(q)]}
	if len(numbers) > len(q) {
		a.Outputs = numbers[len(q):]
	}
	return a
}

// do has a job done.
func (c *Coordinator) do(ctx context.Context, j *job) error {
	c.mu.Lock()
	if b := c.owed; b != nil {
		c.mu.Unlock()
		return b
	}
	c.job = j
	c.taken = j.step
	c.dispatch()
	c.mu.Unlock()
	return c.work(ctx, j)
}

// work answers tasks until all are answered.
func (c *Coordinator) work(ctx context.Context, j *job) error {
	tick := time.NewTicker(tickTime)
	defer tick.Stop()
	alone := time.Now() // since when nobody has been there
	for {
		c.mu.Lock()
		if j.complete() {
			c.mu.Unlock()
			return nil
		}
		c.overdue()
		if c.c.Work || len(c.workers) > 0 {
			alone = time.Now()
		} else if time.Since(alone) > aloneTime {
			alone = time.Now().Add(time.Hour) // once is enough
			c.warn("cluster: no worker is there, and cluster.work is false: the run waits for one")
		}
		e := c.mine()
		c.mu.Unlock()
		if e == nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-c.wake:
			case <-tick.C:
			}
			continue
		}
		if err := c.evaluate(ctx, j, e); err != nil {
			return err
		}
	}
}

// mine is what the coordinator does next itself: an answer to be checked, or a task.
func (c *Coordinator) mine() *entry {
	j := c.job
	if len(j.verify) > 0 {
		e := j.verify[0]
		j.verify = slices.Delete(j.verify, 0, 1)
		return e
	}
	if !c.c.Work {
		return nil
	}
	e := j.reissue(0)
	if e == nil {
		e = j.cut(c.share1(c.own), c.o.Images)
	}
	if e != nil {
		e.issued[0] = time.Now()
	}
	return e
}

// evaluate does a task here.
func (c *Coordinator) evaluate(ctx context.Context, j *job, e *entry) error {
	counts, operations := j.queries(e.key)
	n := 0
	for _, k := range counts {
		n += k
	}
	out := make([]float32, n*j.width)
	began := time.Now()
	if err := j.answer(ctx, e, out); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	took := time.Since(began)
	c.own.seen(operations, took.Seconds())
	if e.claim == nil {
		if e.done {
			c.stats.Wasted += int64(n)
			return nil
		}
		c.timed(took)
		j.put(e, out, 0, true)
		c.stats.Own += int64(n)
		return nil
	}
	claim, by := e.claim, e.by
	j.put(e, out, 0, true)
	if c.agree(claim, out) {
		if w := c.workers[by]; w != nil {
			w.passed = true
		}
		return nil
	}
	return c.ban(by, j.step)
}

// dispatch answers the workers that wait: with a task, or the record of a step.
func (c *Coordinator) dispatch() {
	for _, w := range c.workers {
		if w.parked != nil {
			c.serve(w, w.result)
		}
	}
}

// overdue has tasks given to others whose worker is gone, and, once nothing else is left
// to be given, those that take far longer than others do.
func (c *Coordinator) overdue() {
	j := c.job
	lost := len(j.again)
	c.reap()
	if limit := c.limit(); len(j.queue) == 0 && limit > 0 {
		for _, e := range j.tasks {
			if e.done || e.claim != nil || len(e.issued) != 1 || slices.Contains(j.again, e) {
				continue
			}
			for _, at := range e.issued {
				if time.Since(at) > limit {
					j.again = append(j.again, e)
				}
			}
		}
	}
	if len(j.again) > lost {
		c.dispatch()
	}
}

// reap forgets the workers that nothing is heard of, and has their tasks given to others.
func (c *Coordinator) reap() {
	for _, w := range c.workers {
		if !c.alive(w) {
			c.stats.Lost++
			c.drop(w)
		}
	}
}

// limit is how long a task may take before it is given to another: never less than what
// nearly all took, or copies would be many and in vain.
func (c *Coordinator) limit() time.Duration {
	if c.c.Speculate == 0 || len(c.durations) < 8 {
		return 0
	}
	d := slices.Clone(c.durations)
	slices.Sort(d)
	p := d[min(len(d)-1, len(d)*95/100)]
	return time.Duration(c.c.Speculate * max(p, 0.02) * float64(time.Second))
}
