package vit

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/query"
)

// suffixSlots is the number of queries of one micro-batch of the suffix of
// these sites: about as many rows as a whole forward's, since the widest
// activation then stays in the cache.
func (m *Model) suffixSlots(sites []int) int {
	o, noisy := m.net.out, 1 // rows of a slot that carry noise
	after := o.noisy(sites...)
	for i := range o.steps {
		s := &o.steps[i]
		if !after[i] || s.dead || s.site < 0 || s.Rows == 1 {
			continue
		}
		if slices.ContainsFunc(s.reads, func(j int) bool { return after[j] }) { // a product of many rows for each query
			return m.net.wholeSlots()
		}
		noisy = s.Rows
	}
	if noisy > 1 {
		return min(32, max(4, 2080/o.rows()))
	}
	return 128
}

func (m *Model) suffixProgram(w *worker, sites []int, k string) (*program, error) {
	if p := w.suffixes[k]; p != nil {
		return p, nil
	}
	return pick(w.suffixes, k, func() (*program, error) {
		p := &program{graph: newGraph(m.net, m.suffixSlots(sites))}
		p.suffix = true
		if err := p.network(noiseSet(sites)); err != nil {
			return nil, err
		}
		return p.compile()
	})
}

// loadQueries puts queries into the slots of a suffix.
func (m *Model) loadQueries(p *program, t *query.Perturbation, q []query.Query) {
	f := p.feed
	f.N, f.Step, f.Noise = len(q), t.Step, m.opt.Noise
	for i, s := range t.Sites {
		f.Sigma[s] = t.Sigma[i]
	}
	for s, x := range q {
		f.Image[s], f.Pair[s], f.Sign[s] = x.Image, x.Pair, x.Sign
		f.Target[s] = m.pass.loss.Targets[x.Image]
	}
}

// Losses evaluates queries: suffixes from noisy sites, or forwards with noisy
// weights.
func (p *pass) Losses(ctx context.Context, t *query.Perturbation, q []query.Query, out []float32) error {
	m := p.m
	if m.pass != p {
		return query.ErrStale
	}
	if t.Kind == query.Weight {
		return m.weightLosses(ctx, t, q, out)
	}
	for _, s := range t.Sites {
		if !hasSite(m.sites, s) {
			return fmt.Errorf("vit: site %s was not named to the clean pass", m.net.sites[s].Name)
		}
	}
	slots, k := m.suffixSlots(t.Sites), key(t.Sites)
	return m.each(ctx, (len(q)+slots-1)/slots, func(w *worker, i int) error {
		p, err := m.suffixProgram(w, t.Sites, k)
		if err != nil {
			return err
		}
		lo, hi := i*slots, min(len(q), (i+1)*slots)
		m.loadQueries(p, t, q[lo:hi])
		if err := p.run(m.pass.loss); err != nil {
			return err
		}
		copy(out[lo:hi], values(p.losses))
		return nil
	})
}

// biasRows adds the rows of e to a bias gradient.
func biasRows(grad, e []float32, rows int) {
	n := len(grad)
	for r := 0; r < rows; r++ {
		kernel.AddTo(grad, e[r*n:(r+1)*n])
	}
}
