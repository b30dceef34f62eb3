package vit

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/forward"
)

var _ forward.Chained = (*pass)(nil)

// Outputs implements forward.Chained.
func (p *pass) Outputs(ctx context.Context, t *forward.Perturbation, q []forward.Query,
	losses, outputs []float32) error {
	if err := p.usable(t); err != nil {
		return err
	}
	return p.suffixes(ctx, t, q, losses, outputs)
}

// AccumulateTop implements forward.Chained.
func (p *pass) AccumulateTop(ctx context.Context, params []int, at []float32) error {
	m := p.m
	start, err := p.starts(ctx, len(m.net.out.boundaries))
	if err != nil {
		return err
	}
	q, coef := m.images(p.batch.Size, 1/float32(p.batch.Size))
	l := &List{Queries: q, Coef: coef, Loss: p.loss, Targets: p.loss.Targets, Below: at}
	f := &Forward{From: start.From, Given: start.Given, Params: params, Split: true, Below: at != nil}
	return m.collect(params, m.ask(ctx, l, f))
}

// Above implements forward.Chained.
func (p *pass) Above(ctx context.Context, items []int32, add, outputs []float32) error {
	m := p.m
	if m.pass != p {
		return forward.ErrStale
	}
	from := len(m.net.out.boundaries)
	if _, err := p.starts(ctx, from); err != nil {
		return err
	}
	h := m.net.out.boundaries[from-1]
	size := h.Rows * h.Width
	clean, err := m.b.Stored(h, p.batch.Size, nil)
	if err != nil {
		return err
	}
	starts := make([][]float32, len(items))
	for k, i := range items {
		starts[k] = add[k*size : (k+1)*size]
		for j, v := range clean[int(i)*size : (int(i)+1)*size] {
			starts[k][j] += v
		}
	}
	C := p.clean.Classes
	return m.parts(len(items), 1, true, func(lo, hi int) error {
		q, _ := m.images(hi-lo, 0)
		return m.ask(ctx, &List{Queries: q, Starts: starts[lo:hi], Logits: outputs[lo*C : hi*C]}, &Forward{From: from})
	})
}

// starts is the forward from a boundary, which the pass has kept or knows; 0 being
// the images.
func (p *pass) starts(ctx context.Context, boundary int) (*Forward, error) {
	start, err := p.begin(ctx, boundary)
	if err != nil || start.From == boundary {
		return start, err
	}
	name := p.m.net.out.boundaries[boundary-1].Name
	if !slices.ContainsFunc(p.plan.keep, func(a Activation) bool { return a.Name == name }) {
		return nil, fmt.Errorf("vit: what goes on after %s was not kept", name)
	}
	return &Forward{From: boundary}, nil
}

// AccumulateLayer implements forward.Chained.
func (p *pass) AccumulateLayer(ctx context.Context, site int, g forward.LayerGradient, params []int,
	below []float32) error {
	if err := p.usable(&forward.Perturbation{Sites: []int{site}}); err != nil {
		return err
	}
	block := p.m.net.sites[site].Block
	if d, ok := p.m.b.(interface{ Past(block int) }); ok {
		defer d.Past(block)
	}
	start, err := p.starts(ctx, block)
	if err != nil {
		return err
	}
	run := func(f Forward, l List) error {
		f.From, f.Given, f.To, f.Split = start.From, start.Given, block+1, true
		f.Below = l.Below != nil
		l.Queries, _ = p.m.images(p.batch.Size, 0)
		return p.m.collect(f.Params, p.m.ask(ctx, &l, &f))
	}
	h := p.m.net.out.boundaries[block]
	switch {
	case g.Straight:
		return run(Forward{Params: params, Pooled: true, Straight: true}, List{Ends: g.At})
	case g.Rest == nil || h.Rows == 1 || len(params) == 0:
	case g.Rows != nil:
		f := Forward{Params: params, Pooled: true, Drawn: len(g.Rows) / p.batch.Size}
		return run(f, List{Ends: g.At, Rest: g.Rest, Rows: g.Rows, Below: below})
	default:
		if err := run(Forward{Params: params}, List{Ends: p.rows(h, g)}); err != nil {
			return err
		}
		params = nil
	}
	if len(params) == 0 && below == nil {
		return nil
	}
	return run(Forward{Params: params, Pooled: true}, List{Ends: g.At, Below: below})
}

// rows is the gradient at all rows of a block's output.
func (p *pass) rows(h Activation, g forward.LayerGradient) []float32 {
	size := h.Rows * h.Width
	first, n := p.m.net.out.reading(h.Rows)
	read := n * h.Width
	p.m.seed = slices.Grow(p.m.seed[:0], len(g.Rest))[:len(g.Rest)]
	copy(p.m.seed, g.Rest)
	for i := range p.batch.Size {
		copy(p.m.seed[i*size+first*h.Width:], g.At[i*read:(i+1)*read])
	}
	return p.m.seed
}
