package vit

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/query"
)

// suffixSlots is the number of queries of one micro-batch of the suffix of
// these sites: about as many rows as a whole forward's, since the widest
// activation then stays in the cache.
func (m *Model) suffixSlots(sites []int) int {
	a := m.net.Arch
	first := m.net.sites[sites[0]]
	for _, s := range sites {
		if m.net.sites[s].Block >= 0 && m.net.sites[s].Block < a.Layers-1 || m.net.sites[s].Kind == PatchEmbed {
			return a.wholeSlots()
		}
		if k := m.net.sites[s].Kind; k == Key || k == Value {
			first = m.net.sites[s]
		}
	}
	if first.Kind == Key || first.Kind == Value {
		return min(32, max(4, 2080/a.Tokens())) // every token of a slot carries noise
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
		f.Labels[s] = m.batch.Labels[x.Image]
	}
}

// Losses evaluates queries: suffixes from noisy sites, or forwards with noisy
// weights.
func (m *Model) Losses(ctx context.Context, t *query.Perturbation, q []query.Query, out []float32) error {
	if m.batch == nil {
		return fmt.Errorf("vit: Losses before Clean")
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
		if err := p.run(m.opt.Loss); err != nil {
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
