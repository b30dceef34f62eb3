package vit

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/internal/query"
)

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
	from := m.from
	if from > m.net.out.resume(t.Params) { // something below is perturbed
		from = 0
	}
	for _, g := range groupDirections(q) {
		if err := m.perturbWeights(ctx, t, g.pair, g.sign); err != nil {
			return err
		}
		if err := m.forwardImages(ctx, q, g.at, from, out); err != nil {
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

// start is the boundary from which queries of the weights are evaluated: what lies
// below the first trained parameter is as the clean pass left it. Parameters of
// the sites are perturbed there, not as weights.
func (m *Model) start(sites []int) int {
	var direct []int
	for i, p := range m.net.params {
		if p.Grad != nil && !slices.ContainsFunc(sites, func(s int) bool { return slices.Contains(m.net.sites[s].Params(), i) }) {
			direct = append(direct, i)
		}
	}
	return m.net.out.resume(direct)
}

// WeightFLOPs is the cost of one query of the weights: the blocks from the first
// trained parameter on.
func (m *Model) WeightFLOPs() int64 { return m.net.out.from(m.start(m.sites)) }

// forwardImages evaluates the images of some queries with the weights as they
// are, from the stored activations of a boundary, or from the pixels.
func (m *Model) forwardImages(ctx context.Context, q []query.Query, which []int, from int, out []float32) error {
	slots := m.net.wholeSlots()
	source, size := m.pass.batch.X, len(m.pass.batch.X)/m.pass.batch.N
	if from > 0 {
		name := m.net.out.boundaries[from-1].Name
		source, size = m.net.store.tensors[name].data, len(m.net.store.image(name, 0))
	}
	return m.each(ctx, (len(which)+slots-1)/slots, func(w *worker, i int) error {
		p, err := m.upper(w, from)
		if err != nil {
			return err
		}
		lo, hi := i*slots, min(len(which), (i+1)*slots)
		f := p.feed
		f.N = hi - lo
		x := values(p.images)
		for s, j := range which[lo:hi] {
			image := int(q[j].Image)
			copy(x[s*size:(s+1)*size], source[image*size:(image+1)*size])
			f.Image[s], f.Target[s] = int32(image), m.pass.loss.Targets[image]
		}
		if err := p.run(m.pass.loss); err != nil {
			return err
		}
		losses := values(p.losses)
		for s, j := range which[lo:hi] {
			out[j] = losses[s]
		}
		return nil
	})
}

// upper is the forward from a boundary on.
func (m *Model) upper(w *worker, from int) (*program, error) {
	if from == 0 {
		return m.wholeProgram(w, wholeKey(nil, false, false), nil, false, false)
	}
	k := fmt.Sprintf("from %d", from)
	if p := w.whole[k]; p != nil {
		return p, nil
	}
	return pick(w.whole, k, func() (*program, error) {
		p := &program{graph: newGraph(m.net, m.net.wholeSlots())}
		p.from = from
		if err := p.network(nil); err != nil {
			return nil, err
		}
		return p.compile()
	})
}
