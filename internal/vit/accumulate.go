package vit

import (
	"context"

	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/noise"
)

// scratchE is the memory of E, the noise of every image weighted by its
// coefficients (DESIGN 3.1, efficient form).
type scratchE struct {
	e     []float32
	first []int // per image: where its terms begin
}

// outputs of a site that one worker turns into rows of dW at a time.
const gradRows = 64

func weightCounter(step uint32, param int, pair int32) noise.Counter {
	return noise.Counter{Step: step, Site: query.WeightSite, Image: uint32(param), Pair: uint32(pair)}
}

// Accumulate adds Σ C·ε to the gradients: E_iᵀ x_i at sites, z at weights.
func (p *pass) Accumulate(ctx context.Context, t *query.Perturbation, terms []query.Term) error {
	m := p.m
	if m.pass != p {
		return query.ErrStale
	}
	if t.Kind == query.Weight {
		return m.accumulateWeights(ctx, t, terms)
	}
	if len(terms) > 0 && terms[0].Sign != 0 {
		return m.accumulateJoint(ctx, t, terms)
	}
	for _, s := range t.Sites {
		if err := m.accumulateSite(ctx, t.Step, s, terms); err != nil {
			return err
		}
	}
	return nil
}

// accumulateSite adds Σ_i E_iᵀ x_i to the gradient of a site's weight and the
// rows of E to its bias, with E_i = Σ_p C_ip ε_ip. Terms of one image stand
// together.
func (m *Model) accumulateSite(ctx context.Context, step uint32, site int, terms []query.Term) error {
	s := m.net.sites[site]
	if gw, gb := m.net.siteGrads(s); gw == nil && gb == nil || len(terms) == 0 {
		return nil
	}
	in := m.net.SiteInput(site, m.opt.Mask)
	name, rows := in.Name, in.Rows
	e, n := m.makeE(terms, rows*s.Out)
	lo, hi := int(terms[0].Image), int(terms[len(terms)-1].Image)+1 // images that have terms
	err := m.each(ctx, hi-lo, func(_ *worker, i int) error {
		i += lo
		row := e[i*n : (i+1)*n]
		clear(row)
		for _, t := range terms[m.terms.first[i]:m.terms.first[i+1]] {
			m.opt.Noise.Axpy(row, t.C, noise.Counter{Step: step, Site: uint32(site), Image: uint32(t.Image), Pair: uint32(t.Pair)}, 0)
		}
		return nil
	})
	if err != nil {
		return err
	}
	x := m.net.store.tensors[name].data
	return m.siteGradient(ctx, s, x[lo*rows*s.In:], e[lo*n:], (hi-lo)*rows)
}

// makeE makes room for E of every image and finds each image's terms.
func (m *Model) makeE(terms []query.Term, n int) ([]float32, int) {
	B := m.pass.batch.N
	if cap(m.terms.e) < B*n {
		m.terms.e = make([]float32, B*n)
	}
	if cap(m.terms.first) < B+1 {
		m.terms.first = make([]int, B+1)
	}
	m.terms.first = m.terms.first[:B+1]
	j := 0
	for i := 0; i <= B; i++ {
		for j < len(terms) && int(terms[j].Image) < i {
			j++
		}
		m.terms.first[i] = j
	}
	return m.terms.e[:B*n], n
}

// siteGradient adds eᵀx to the weight's gradient and e's column sums to the
// bias's; pieces of dW are independent, so that workers never share a sum.
func (m *Model) siteGradient(ctx context.Context, s query.Site, x, e []float32, rows int) error {
	gw, gb := m.net.siteGrads(s)
	pieces := (s.Out + gradRows - 1) / gradRows
	return m.each(ctx, pieces+1, func(k *worker, i int) error {
		if i == pieces {
			if gb != nil {
				biasRows(gb, e, rows)
			}
			return nil
		}
		if gw == nil {
			return nil
		}
		lo := i * gradRows
		n := min(gradRows, s.Out-lo)
		kernel.GemmTN(gw[lo*s.In:], s.In, e[lo:], s.Out, x, s.In, n, s.In, rows, true, &k.gemm)
		return nil
	})
}

// accumulateJoint runs the queries again, because the inputs of later sites
// depend on the noise of earlier ones, and adds C/σ·sign·εᵀx of each query with
// the x that it saw.
func (m *Model) accumulateJoint(ctx context.Context, t *query.Perturbation, terms []query.Term) error {
	slots := m.suffixSlots(t.Sites)
	n := (len(terms) + slots - 1) / slots
	turn := newTurnstile()
	q := make([]query.Query, len(terms))
	for i, x := range terms {
		q[i] = query.Query{Image: x.Image, Pair: x.Pair, Sign: x.Sign}
	}
	return m.each(ctx, n, func(w *worker, i int) error {
		defer turn.leave(i)
		p, err := m.tappedSuffix(w, t.Sites)
		if err != nil {
			return err
		}
		lo, hi := i*slots, min(len(terms), (i+1)*slots)
		m.loadQueries(p, t, q[lo:hi])
		if err := p.run(m.pass.loss); err != nil {
			return err
		}
		turn.enter(i)
		for k, site := range t.Sites {
			m.addQueries(w, p, site, 1/t.Sigma[k], terms[lo:hi])
		}
		return nil
	})
}

// tappedSuffix is a suffix whose site inputs stay readable.
func (m *Model) tappedSuffix(w *worker, sites []int) (*program, error) {
	return pick(w.suffixes, key(sites)+"x", func() (*program, error) {
		p := &program{graph: newGraph(m.net, m.suffixSlots(sites))}
		p.suffix = true
		if err := p.network(noiseSet(sites)); err != nil {
			return nil, err
		}
		var taps []string
		for _, s := range sites {
			if name := m.net.SiteInput(s, m.opt.Mask).Name; p.taps[name].node != nil {
				taps = append(taps, name)
			}
		}
		return p.compile(taps...)
	})
}

// addQueries adds the share of one micro-batch to one site's gradient, query by
// query in their order.
func (m *Model) addQueries(w *worker, p *program, site int, scale float32, terms []query.Term) {
	s := m.net.sites[site]
	gw, gb := m.net.siteGrads(s)
	in := m.net.SiteInput(site, m.opt.Mask)
	name, rows := in.Name, in.Rows
	n := rows * s.Out
	e := w.buf(0, len(terms)*n)
	clear(e)
	x := w.buf(1, len(terms)*rows*s.In)
	for j, t := range terms {
		m.opt.Noise.Axpy(e[j*n:(j+1)*n], float32(t.Sign)*t.C*scale, p.feed.counter(j, site), 0)
		from := m.net.store.tensors[name]
		if tap := p.taps[name]; tap.node != nil {
			copy(x[j*rows*s.In:(j+1)*rows*s.In], values(tap.node)[j*rows*s.In:])
		} else {
			copy(x[j*rows*s.In:(j+1)*rows*s.In], from.data[int(t.Image)*rows*s.In:])
		}
	}
	if gw != nil {
		kernel.GemmTN(gw, s.In, e, s.Out, x, s.In, s.Out, s.In, len(terms)*rows, true, &w.gemm)
	}
	if gb != nil {
		biasRows(gb, e, len(terms)*rows)
	}
}

// accumulateWeights adds Σ_q C_q z_q; the directions are the batch's.
func (m *Model) accumulateWeights(ctx context.Context, t *query.Perturbation, terms []query.Term) error {
	type piece struct{ param, lo, hi int }
	var work []piece
	for _, i := range t.Params {
		n := len(m.net.params[i].Grad)
		for lo := 0; lo < n; lo += weightChunk {
			work = append(work, piece{i, lo, min(n, lo+weightChunk)})
		}
	}
	return m.each(ctx, len(work), func(_ *worker, i int) error {
		c := work[i]
		for _, x := range terms {
			m.opt.Noise.Axpy(m.net.params[c.param].Grad[c.lo:c.hi], x.C, weightCounter(t.Step, c.param, x.Pair), c.lo)
		}
		return nil
	})
}
