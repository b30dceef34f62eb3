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

// weightLosses evaluates forwards with θ + sign·σ·z, direction by direction.
// The parameters are written in place; their originals are kept and copied
// back, so that nothing is left of the noise.
func (m *Model) weightLosses(ctx context.Context, t *query.Perturbation, q []query.Query, out []float32) (err error) {
	for _, i := range t.Params {
		p := m.net.params[i]
		if m.saved[i] == nil {
			m.saved[i] = make([]float32, len(p.Data))
		}
		copy(m.saved[i], p.Data)
	}
	defer func() {
		for _, i := range t.Params {
			copy(m.net.params[i].Data, m.saved[i])
		}
		m.staleParams(t.Params)
	}()
	for _, g := range groupDirections(q) {
		if err := m.perturbWeights(ctx, t, g.pair, g.sign); err != nil {
			return err
		}
		if err := m.forwardImages(ctx, q, g.at, out); err != nil {
			return err
		}
	}
	return nil
}

// direction is the queries that share one set of weights.
type direction struct {
	pair int32
	sign int8
	at   []int // indices into the queries
}

// groupDirections collects the queries of each direction, by pair and then by
// sign, each in the order given.
func groupDirections(q []query.Query) []direction {
	index := map[[2]int32]int{}
	var out []direction
	for i, x := range q {
		k := [2]int32{x.Pair, int32(x.Sign)}
		j, ok := index[k]
		if !ok {
			j = len(out)
			index[k] = j
			out = append(out, direction{pair: x.Pair, sign: x.Sign})
		}
		out[j].at = append(out[j].at, i)
	}
	return out
}

// weightChunk is the number of values of a tensor that one worker perturbs at a
// time; a whole number of noise groups.
const weightChunk = 1 << 15

// perturbWeights writes θ + sign·σ·z_pair into the parameters.
func (m *Model) perturbWeights(ctx context.Context, t *query.Perturbation, pair int32, sign int8) error {
	type piece struct{ param, lo, hi int }
	var work []piece
	for _, i := range t.Params {
		n := len(m.net.params[i].Data)
		for lo := 0; lo < n; lo += weightChunk {
			work = append(work, piece{i, lo, min(n, lo+weightChunk)})
		}
	}
	err := m.each(ctx, len(work), func(_ *worker, i int) error {
		c := work[i]
		m.opt.Noise.AddScaled(m.net.params[c.param].Data[c.lo:c.hi], m.saved[c.param][c.lo:c.hi], float32(sign)*t.Sigma[0],
			weightCounter(t.Step, c.param, pair), c.lo)
		return nil
	})
	m.staleParams(t.Params)
	return err
}

// staleParams repacks the linear maps among the parameters at their next use.
func (m *Model) staleParams(params []int) {
	changed := map[int]bool{}
	for _, i := range params {
		changed[i] = true
	}
	for s, l := range m.net.linears {
		if changed[m.net.sites[s].Weight] {
			l.stale()
		}
	}
}

// forwardImages evaluates the images of some queries with the weights as they are.
func (m *Model) forwardImages(ctx context.Context, q []query.Query, at []int, out []float32) error {
	slots := m.net.Arch.wholeSlots()
	size := len(m.batch.X) / m.batch.N
	return m.each(ctx, (len(at)+slots-1)/slots, func(w *worker, i int) error {
		p, err := m.wholeProgram(w, wholeKey(nil, false, false), nil, false, false)
		if err != nil {
			return err
		}
		lo, hi := i*slots, min(len(at), (i+1)*slots)
		f := p.feed
		f.N = hi - lo
		x := values(p.images)
		for s, j := range at[lo:hi] {
			image := int(q[j].Image)
			copy(x[s*size:(s+1)*size], m.batch.X[image*size:])
			f.Image[s], f.Labels[s] = int32(image), m.batch.Labels[image]
		}
		if err := p.run(m.opt.Loss); err != nil {
			return err
		}
		losses := values(p.losses)
		for s, j := range at[lo:hi] {
			out[j] = losses[s]
		}
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
