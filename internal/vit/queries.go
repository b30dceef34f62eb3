package vit

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/forward"
)

// usable refuses what cannot be asked of the pass.
func (p *pass) usable(t *forward.Perturbation) error {
	if p.m.pass != p {
		return forward.ErrStale
	}
	if t.Kind == forward.Weights {
		return nil
	}
	if len(t.Sites) == 0 {
		return fmt.Errorf("vit: a perturbation of no site")
	}
	for _, s := range t.Sites {
		if !slices.Contains(p.plan.sites, s) {
			return fmt.Errorf("vit: site %s was not named to the clean pass", p.m.net.sites[s].Name)
		}
	}
	return nil
}

// parts cuts n queries, whose outputs may be asked for, into lists that the backend has
// room for, divided by share.
func (m *Model) parts(n, share int, outputs bool, f func(lo, hi int) error) error {
	room := max(1, m.b.Room(outputs)/share)
	for lo := 0; lo < n; lo += room {
		hi := lo + min(room, n-lo)
		if err := f(lo, hi); err != nil {
			return err
		}
		if hi == n {
			break
		}
	}
	return nil
}

// Losses evaluates queries: suffixes from noisy sites, or forwards with noisy
// weights.
func (p *pass) Losses(ctx context.Context, t *forward.Perturbation, q []forward.Query, out []float32) error {
	if err := p.usable(t); err != nil {
		return err
	}
	if t.Kind == forward.Weights {
		return p.weightLosses(ctx, t, q, out)
	}
	return p.suffixes(ctx, t, q, out, nil)
}

// suffixes evaluates queries from noisy sites, and keeps the outputs where they are
// asked for.
func (p *pass) suffixes(ctx context.Context, t *forward.Perturbation, q []forward.Query,
	losses, outputs []float32) error {
	m, C := p.m, p.clean.Classes
	f := &Forward{Sites: t.Sites}
	return m.parts(len(q), 1, outputs != nil, func(lo, hi int) error {
		l := m.list(q[lo:hi], p.loss)
		l.Step, l.Sites, l.Sigma, l.Losses = t.Step, t.Sites, t.Sigma, losses[lo:hi]
		if outputs != nil {
			l.Logits = outputs[lo*C : hi*C]
		}
		return m.ask(ctx, l, f)
	})
}

// weightLosses evaluates forwards with θ + sign·σ·z, direction by direction, from
// the boundary below which nothing is perturbed. The originals are kept and
// written back, so that nothing is left of the noise.
func (p *pass) weightLosses(ctx context.Context, t *forward.Perturbation, q []forward.Query,
	out []float32) (err error) {
	m := p.m
	f, err := p.begin(ctx, m.net.out.resume(t.Params))
	if err != nil {
		return err
	}
	if err := m.b.Save(t.Params); err != nil {
		return err
	}
	defer func() {
		if e := m.b.Restore(t.Params); err == nil {
			err = e
		}
	}()
	order := byDirection(q)
	return m.parts(len(q), 1, p.tangent != nil, func(lo, hi int) error {
		return p.directionLosses(ctx, t, q, order[lo:hi], f, out)
	})
}

// begin is the forward of queries of weights of which the lowest come after a
// boundary: from there on where that is stored or known, and else from the images.
func (p *pass) begin(ctx context.Context, below int) (*Forward, error) {
	m, known := p.m, p.plan.known
	f := &Forward{From: p.plan.from}
	if f.From > below { // something below is perturbed
		f.From = 0
	}
	if known > 0 && known <= below && f.From <= known {
		f.From, f.Given = known, true
	}
	switch {
	case f.Given && m.gave != p.batch || f.From == 0 && m.shown != p.batch: // another batch was evaluated since
		return f, m.show(ctx, p.batch, 0, p.batch.Size, f.From, p.plan.start)
	}
	return f, nil
}

// byDirection lists the queries so that those of one direction, which share a set
// of weights, stand together.
func byDirection(q []forward.Query) []int {
	order := make([]int, len(q))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if d := int(q[a].Pair) - int(q[b].Pair); d != 0 {
			return d
		}
		return int(q[b].Sign) - int(q[a].Sign)
	})
	return order
}

// directionLosses evaluates some of the queries, which stand by their directions.
func (p *pass) directionLosses(ctx context.Context, t *forward.Perturbation, q []forward.Query, order []int, f *Forward,
	out []float32) error {
	m := p.m
	m.queries, m.coef = m.queries[:0], m.coef[:0]
	for _, j := range order {
		m.queries, m.coef = append(m.queries, q[j]), append(m.coef, float32(q[j].Sign)*t.Sigma[0])
	}
	l := m.list(m.queries, p.loss)
	l.Step, l.Coef, l.Losses = t.Step, m.coef, make([]float32, len(order))
	if p.tangent != nil {
		l.Logits = make([]float32, len(order)*p.clean.Classes)
	}
	if err := m.b.Begin(l); err != nil {
		return err
	}
	for lo, hi := 0, 0; lo < len(order); lo = hi {
		for a := l.Queries[lo]; hi < len(order) && l.Queries[hi].Pair == a.Pair && l.Queries[hi].Sign == a.Sign; {
			hi++
		}
		if err := m.b.Perturb(ctx, t.Params, lo); err != nil {
			return err
		}
		if err := m.b.Run(ctx, f, lo, hi); err != nil {
			return err
		}
	}
	if err := m.b.End(); err != nil {
		return err
	}
	if p.tangent != nil {
		p.tangent.Losses(l.Losses, l.Logits, l.Queries)
	}
	for i, j := range order {
		out[j] = l.Losses[i]
	}
	return nil
}

// Accumulate adds Σ C·ε to the gradients: E_iᵀ x_i at sites, z at weights.
func (p *pass) Accumulate(ctx context.Context, t *forward.Perturbation, terms []forward.Term) error {
	if err := p.usable(t); err != nil {
		return err
	}
	m := p.m
	switch {
	case len(terms) == 0:
		return nil
	case t.Kind == forward.Weights:
		return m.collect(t.Params, m.b.SumWeights(ctx, t.Params, t.Step, terms))
	case terms[0].Sign != 0:
		return p.accumulateJoint(ctx, t, terms)
	}
	for _, s := range t.Sites {
		if len(m.net.sites[s].Direct) > 0 {
			p.sumDirect(s, t.Step, terms, 1)
			continue
		}
		if w, b := m.net.siteGrads(m.net.sites[s]); w == nil && b == nil {
			continue
		}
		err := m.b.SumSite(ctx, s, m.net.SiteInput(s, m.mask), t.Step, terms)
		if err := m.collect(m.net.sites[s].Params(), err); err != nil {
			return err
		}
	}
	return nil
}

// accumulateJoint runs the queries again, because the inputs of later sites
// depend on the noise of earlier ones, and sums C/σ·sign·εᵀx of each query with
// the x that it saw.
func (p *pass) accumulateJoint(ctx context.Context, t *forward.Perturbation, terms []forward.Term) error {
	m := p.m
	t = p.withoutDirect(t, terms)
	f := &Forward{Sites: t.Sites}
	var params []int
	for _, s := range t.Sites {
		if len(m.net.sites[s].Direct) > 0 {
			break
		}
		f.Inputs = append(f.Inputs, m.net.SiteInput(s, m.mask))
		params = append(params, m.net.sites[s].Params()...)
	}
	if len(f.Inputs) == 0 {
		return nil
	}
	return m.collect(params, m.parts(len(terms), len(t.Sites), false, func(lo, hi int) error {
		m.queries, m.coef = m.queries[:0], m.coef[:0]
		for _, x := range terms[lo:hi] {
			m.queries = append(m.queries, forward.Query{Image: x.Image, Pair: x.Pair, Sign: x.Sign})
		}
		for _, sigma := range t.Sigma {
			for _, x := range terms[lo:hi] {
				m.coef = append(m.coef, float32(x.Sign)*x.Coef*(1/sigma))
			}
		}
		l := m.list(m.queries, p.loss)
		l.Step, l.Sites, l.Sigma, l.Coef = t.Step, t.Sites, t.Sigma, m.coef
		return m.ask(ctx, l, f)
	}))
}
