package vit

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/forward"
)

// reads notes which rows of the last block's output the outputs are made of.
func (o *outline) reads(lo int, r Runs) {
	if o == nil {
		return
	}
	if o.read = r; lo == 0 {
		o.pooled = r.rows()
	}
}

// layers makes the sites that are a block's output, where the outputs are made of its
// first row alone. They come after all others, whose numbers name noise.
func (o *outline) layers(n *Net) {
	o.same = map[int]int{}
	if o.pooled != 1 {
		return
	}
	for block, h := range o.boundaries {
		at, ok := n.bySite[siteKey{MLPOut, block}]
		if !ok {
			return
		}
		i := len(n.sites)
		n.sites = append(n.sites, forward.Site{Name: fmt.Sprintf("block.%d.%s", block, Residual), Kind: Residual,
			Block: block, Out: h.Width, Weight: -1, Bias: -1})
		n.linears = append(n.linears, nil)
		n.bySite[siteKey{Residual, block}] = i
		o.same[i] = at
		o.masked, o.unmasked, o.links = append(o.masked, h), append(o.unmasked, h), append(o.links, Link{})
	}
}

// mapOf is the site of the map that a site's noise comes after.
func (o *outline) mapOf(site int) int {
	if at, ok := o.same[site]; ok {
		return at
	}
	return site
}

// layer is the site of a boundary, counted from 1, that is a block's output; -1 where
// there is none.
func (n *Net) layer(boundary int) int {
	if i, ok := n.bySite[siteKey{Residual, boundary - 1}]; ok {
		return i
	}
	return -1
}

// within lists the parameters that lie between two boundaries, 0 being the images.
func (o *outline) within(from, to int) []int {
	out := used(o.steps[o.start(from):o.at[to-1]])
	slices.Sort(out)
	return out
}

// used lists the parameters of some steps as they come.
func used(steps []outlined) (out []int) {
	for _, s := range steps {
		for _, p := range s.uses {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

var (
	_ forward.Layered = (*Model)(nil)
	_ forward.Chained = (*pass)(nil)
)

// Layer implements forward.Layered.
func (m *Model) Layer(site int) (forward.Layer, bool) {
	s := m.net.sites[site]
	if d, ok := m.b.(interface{ Layers() bool }); s.Kind != Residual || !ok || !d.Layers() {
		return forward.Layer{}, false
	}
	o, to := m.net.out, s.Block+1
	l := forward.Layer{Number: s.Block, Last: to == len(o.boundaries), Width: s.Out, Params: o.within(s.Block, to)}
	if s.Block > 0 {
		l.Rows = o.boundaries[s.Block-1].Rows
	}
	l.Outs = o.boundaries[s.Block].Rows
	l.Some = !o.placed
	// Of the last block no more than the row that is read is computed anyway.
	last := len(o.boundaries) - 1
	l.AllFLOPs, l.RowFLOPs = m.layerFLOPs(s.Block), m.layerFLOPs(last)
	for _, x := range o.steps[o.start(last):o.at[last]] {
		if !x.dead {
			l.AgainFLOPs += x.flops
			l.BelowFLOPs += x.flops
			if x.twice {
				l.BelowFLOPs += x.flops
			}
		}
	}
	if s.Block == 0 && last > 0 { // what makes the tokens comes with it
		l.RowFLOPs += l.BelowFLOPs
		for _, x := range o.steps[:o.at[0]] {
			if x.site >= 0 && m.net.sites[x.site].Block < 0 {
				l.RowFLOPs += 2 * x.flops
			}
		}
	}
	return l, true
}

// start is the first step of the block that ends at a boundary, counted from 0.
func (o *outline) start(boundary int) int {
	if boundary == 0 {
		return 0
	}
	return o.at[boundary-1]
}

// layerFLOPs is the cost of a block, computed again, and of its derivative by what
// is trained of it.
func (m *Model) layerFLOPs(block int) (n int64) {
	o := m.net.out
	first, end := o.start(block), o.at[block]
	for _, x := range o.steps[first:end] {
		if !x.dead {
			n += x.flops
		}
	}
	within := o.within(block, block+1)
	own := func(p int) bool { return slices.Contains(within, p) && m.net.params[p].Grad != nil }
	part := &outline{steps: o.steps[:end]}
	return n + part.backward(m.net.sites, own)
}

// Top implements forward.Layered.
func (m *Model) Top() []int {
	o := m.net.out
	return used(o.steps[o.at[len(o.at)-1]:])
}

// Outputs implements forward.Chained.
func (p *pass) Outputs(ctx context.Context, t *forward.Perturbation, q []forward.Query,
	losses, outputs []float32) error {
	if err := p.usable(t); err != nil {
		return err
	}
	m, C := p.m, p.clean.Classes
	f := &Forward{Sites: t.Sites}
	return m.parts(len(q), 1, func(lo, hi int) error {
		l := m.list(q[lo:hi], p.loss)
		l.Step, l.Sites, l.Sigma, l.Losses, l.Logits = t.Step, t.Sites, t.Sigma, losses[lo:hi], outputs[lo*C:hi*C]
		return m.ask(ctx, l, f)
	})
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
	clean, err := m.b.Stored(h, p.batch.Size, nil)
	if err != nil {
		return err
	}
	m.gave = nil // what it handed over is another's now
	m.starts = slices.Grow(m.starts[:0], len(items))[:len(items)]
	for k, i := range items {
		m.starts[k] = add[k*h.Width : (k+1)*h.Width]
		for j, v := range clean[int(i)*h.Width : (int(i)+1)*h.Width] {
			add[k*h.Width+j] += v
		}
	}
	if err := m.b.Give(h, m.starts, false); err != nil {
		return err
	}
	q, _ := m.images(len(items), 0)
	return m.ask(ctx, &List{Queries: q, Logits: outputs}, &Forward{From: from, Given: true})
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
	case g.Rest == nil || h.Rows == 1 || len(params) == 0:
	case g.Rows != nil:
		f := Forward{Params: params, Pooled: true, Drawn: len(g.Rows) / p.batch.Size}
		return run(f, List{Coef: g.At, Rest: g.Rest, Rows: g.Rows, Below: below})
	default:
		if err := run(Forward{Params: params}, List{Coef: p.rows(h, g)}); err != nil {
			return err
		}
		params = nil
	}
	if len(params) == 0 && below == nil {
		return nil
	}
	return run(Forward{Params: params, Pooled: true}, List{Coef: g.At, Below: below})
}

// rows is the gradient at all rows of a block's output.
func (p *pass) rows(h Activation, g forward.LayerGradient) []float32 {
	size := h.Rows * h.Width
	p.m.seed = slices.Grow(p.m.seed[:0], len(g.Rest))[:len(g.Rest)]
	copy(p.m.seed, g.Rest)
	for i := range p.batch.Size {
		copy(p.m.seed[i*size:], g.At[i*h.Width:(i+1)*h.Width])
	}
	return p.m.seed
}
