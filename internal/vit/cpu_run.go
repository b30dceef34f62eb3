package vit

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// each runs f for 0..n-1 on the workers and returns the first error by index.
func (c *cpu) each(ctx context.Context, n int, f func(w *worker, i int) error) error {
	if cap(c.errs) < n {
		c.errs = make([]error, n)
	}
	errs := c.errs[:n]
	clear(errs)
	kernel.Parallel(min(len(c.workers), n), n, func(k, i int) {
		if errs[i] = ctx.Err(); errs[i] == nil {
			errs[i] = f(c.workers[k], i)
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Run evaluates micro-batches of a fixed size; those that add to a sum do so one
// after another.
func (c *cpu) Run(ctx context.Context, f *Forward, lo, hi int) error {
	var turn *turnstile
	if len(f.Inputs)+len(f.Params) > 0 {
		turn = newTurnstile()
	}
	work := c.cut(nil, c.list, f, lo, hi)
	return c.each(ctx, len(work), func(w *worker, i int) error {
		defer turn.leave(i)
		p, err := c.evaluate(w, &work[i])
		if err != nil {
			return err
		}
		at, n := work[i].at, work[i].n
		turn.enter(i)
		for k, site := range f.Sites[:len(f.Inputs)] {
			c.addQueries(w, p, site, f.Inputs[k], at, n, c.list.Coef[k*len(c.list.Queries):])
		}
		for k, j := range f.Params {
			kernel.AddTo(c.net.params[j].Grad, values(p.Grads[k]))
		}
		return nil
	})
}

// RunTogether evaluates whole lists by a graph each, whose micro-batches the workers
// take as if they were one list's.
func (c *cpu) RunTogether(ctx context.Context, lists []*List, f []*Forward) error {
	var work []microBatch
	for k, l := range lists {
		work = c.cut(work, l, f[k], 0, len(l.Queries))
	}
	return c.each(ctx, len(work), func(w *worker, i int) error {
		_, err := c.evaluate(w, &work[i])
		return err
	})
}

// microBatch is n queries of a list from at on, for a graph of so many slots.
type microBatch struct {
	l      *List
	f      *Forward
	key    string // of the graph
	slots  int
	at, n  int
	images []int32 // of the slots without noise that the queries are differences from
}

// cut adds the micro-batches of the queries lo to hi−1 of a list.
func (c *cpu) cut(work []microBatch, l *List, f *Forward, lo, hi int) []microBatch {
	slots, key := c.net.slots(f.Sites), fmt.Sprint(*f)
	if !c.net.differs(f.Sites) {
		for at := lo; at < hi; at += slots {
			work = append(work, microBatch{l, f, key, slots, at, min(slots, hi-at), nil})
		}
		return work
	}
	slots += max(1, slots/2) // a slot without noise for each image, and as many of its queries as there is room for
	for at := lo; at < hi; {
		b := microBatch{l, f, key, slots, at, 0, nil}
		for ; at < hi; at++ {
			image := l.Queries[at].Image
			is := slices.Contains(b.images, image)
			if is && b.n+len(b.images) == slots || !is && b.n+len(b.images) > slots-2 {
				break
			}
			if b.n++; !is {
				b.images = append(b.images, image)
			}
		}
		work = append(work, b)
	}
	return work
}

// evaluate runs a micro-batch and keeps what is wanted of it.
func (c *cpu) evaluate(w *worker, b *microBatch) (*compiled, error) {
	p, err := c.program(w, b.f, b.key, b.slots)
	if err != nil {
		return nil, err
	}
	c.load(p, b)
	if err := p.m.RunAll(); err != nil {
		return nil, err
	}
	if p.feed.err != nil {
		return nil, p.feed.err
	}
	c.keep(p, b)
	return p, nil
}

// program is a worker's graph, built the first time that it is needed.
func (c *cpu) program(w *worker, f *Forward, key string, slots int) (*compiled, error) {
	if p, ok := w.programs[key]; ok {
		return p, nil
	}
	p, err := c.net.Program(slots, f)
	if err != nil {
		return nil, err
	}
	m, err := newMachineIn(w.room, p.Graph, p.Kept...)
	if err != nil {
		return nil, err
	}
	w.programs[key] = &compiled{p, m}
	return w.programs[key], nil
}

// load puts queries into the slots of a graph.
func (c *cpu) load(p *compiled, b *microBatch) {
	l, f, at, n, feed := b.l, b.f, b.at, b.n, p.feed
	feed.Slots, feed.Step, feed.Noise, feed.Loss, feed.err = n+len(b.images), l.Step, c.noise, l.Loss, nil
	for i, s := range l.Sites {
		feed.Sigma[s] = l.Sigma[i]
	}
	for s, q := range l.Queries[at : at+n] {
		feed.Image[s], feed.Pair[s], feed.Sign[s] = q.Image, q.Pair, q.Sign
	}
	if l.Targets != nil {
		copy(feed.Target, l.Targets[at:at+n])
	}
	feed.differ(n, b.images)
	if p.Seed != nil {
		seed := values(p.Seed)
		size := len(seed) / p.Slots
		weights := l.Coef
		if f.To > 0 {
			weights = l.Ends
		}
		copy(seed, weights[at*size:(at+n)*size])
	}
	if p.Rest != nil {
		rest := values(p.Rest)
		size := len(rest) / p.Slots
		copy(rest, l.Rest[at*size:(at+n)*size])
		copy(feed.Rows, l.Rows[at*f.Drawn:(at+n)*f.Drawn])
	}
	if p.Start == nil {
		return
	}
	x := values(p.Start)
	size := len(x) / p.Slots
	for s, q := range l.Queries[at : at+n] {
		to := x[s*size : (s+1)*size]
		if l.Starts != nil {
			copy(to, l.Starts[at+s])
		} else {
			copy(to, c.begin(f, int(q.Image), size))
		}
	}
}

// begin is what a forward of an image begins with, of so many values.
func (c *cpu) begin(f *Forward, image, size int) []float32 {
	switch {
	case f.Given:
		return c.given[image]
	case f.From > 0:
		return c.net.store.image(c.net.out.boundaries[f.From-1].Name, image)
	}
	return c.pixels[image*size : (image+1)*size]
}

// keep puts the results of queries where they are wanted.
func (c *cpu) keep(p *compiled, b *microBatch) {
	l, f, at, n := b.l, b.f, b.at, b.n
	if f.Below {
		x := values(p.Grads[len(f.Params)])
		size := len(x) / p.Slots
		copy(l.Below[at*size:], x[:n*size])
	}
	if f.To > 0 {
		return
	}
	put := func(dst []float32, node *gorgonia.Node, width int) {
		if dst != nil {
			copy(dst[at*width:(at+n)*width], values(node))
		}
	}
	put(l.Losses, p.Losses, 1)
	put(l.Logits, p.Logits, c.net.Arch.Outputs())
	put(l.Features, p.Taps[c.net.Features().Name], c.net.Features().Width)
	for _, name := range f.Keep {
		x := values(p.Taps[name])
		size := len(x) / p.Slots
		for s, q := range l.Queries[at : at+n] {
			copy(c.net.store.image(name, int(q.Image)), x[s*size:(s+1)*size])
		}
	}
}

func values(n *gorgonia.Node) []float32 { return n.Value().(*tensor.Dense).Float32s() }

// slots is the number of queries of one micro-batch of what follows these sites;
// of a whole forward where there are none. It is fixed, so that results do not
// depend on the workers. With about as many rows as a whole forward's, the widest
// activation stays in the cache.
func (n *Net) slots(sites []int) int {
	o, noisy := n.out, 1 // rows of a slot that carry noise
	// The activations of a block stay in a core's cache, and the rows fill the
	// GEMM's tiles.
	whole := min(16, max(1, 2*260/o.rows()))
	if len(sites) == 0 {
		return whole
	}
	after := o.noisy(sites...)
	for i := range o.steps {
		s := &o.steps[i]
		if !after[i] || s.dead || s.site < 0 || s.Rows == 1 {
			continue
		}
		if slices.ContainsFunc(s.reads, func(j int) bool { return after[j] }) { // a product of many rows for each query
			return whole
		}
		noisy = s.Rows
	}
	if noisy > 1 {
		return min(32, max(4, 2080/o.rows()))
	}
	return 128
}
