package vit

import (
	"context"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/forward"
)

// read notes which rows of the last block's output the outputs are made of.
func (o *outline) read(lo, n int) {
	if o != nil && lo == 0 {
		o.pooled = n
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
		n.sites = append(n.sites, forward.Site{Name: fmt.Sprintf("block.%d.%s", block, Residual), Kind: Residual, Block: block,
			Out: h.Width, Weight: -1, Bias: -1})
		n.linears = append(n.linears, nil)
		n.bySite[siteKey{Residual, block}] = i
		o.same[i] = at
		o.masked, o.unmasked, o.links = append(o.masked, h), append(o.unmasked, h), append(o.links, link{})
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
	first := 0
	if from > 0 {
		first = o.at[from-1]
	}
	var out []int
	for _, s := range o.steps[first:o.at[to-1]] {
		for _, p := range s.uses {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	slices.Sort(out)
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
	l := forward.Layer{Width: s.Out, Params: o.within(s.Block, to), Lowest: s.Block == 0}
	if s.Block > 0 {
		l.Rows = o.boundaries[s.Block-1].Rows
	}
	own := func(p int) bool { return slices.Contains(l.Params, p) && m.net.params[p].Grad != nil }
	first := 0
	if s.Block > 0 {
		first = o.at[s.Block-1]
	}
	for _, x := range o.steps[first:o.at[to-1]] {
		if !x.dead {
			l.FLOPs += x.flops // computed again
		}
	}
	part := &outline{steps: o.steps[:o.at[to-1]]}
	l.FLOPs += part.backward(m.net.sites, own)
	return l, true
}

// Outputs implements forward.Chained.
func (p *pass) Outputs(ctx context.Context, t *forward.Perturbation, q []forward.Query, losses, outputs []float32) error {
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

// AccumulateLayer implements forward.Chained.
func (p *pass) AccumulateLayer(ctx context.Context, site int, at, rest []float32, params []int, below []float32) error {
	if err := p.usable(&forward.Perturbation{Sites: []int{site}}); err != nil {
		return err
	}
	m, n := p.m, p.batch.Size
	block := m.net.sites[site].Block
	h := m.net.out.boundaries[block]
	start, err := p.begin(ctx, block)
	if err != nil {
		return err
	}
	if start.From != block && block > 0 {
		if !slices.ContainsFunc(p.plan.keep, func(a Activation) bool { return a.Name == m.net.out.boundaries[block-1].Name }) {
			return fmt.Errorf("vit: what goes into block %d was not kept", block)
		}
		start = &Forward{From: block}
	}
	run := func(f *Forward, coef, below []float32) error {
		f.From, f.Given, f.To = start.From, start.Given, block+1
		q, _ := m.images(n, 0)
		return m.ask(ctx, &List{Queries: q, Coef: coef, Below: below}, f)
	}
	if below != nil {
		if err := run(&Forward{Pooled: true, Below: true}, at, below); err != nil {
			return err
		}
	}
	if len(params) == 0 {
		return nil
	}
	coef := at
	if h.Rows > 1 {
		coef = make([]float32, n*h.Rows*h.Width)
		if rest != nil {
			copy(coef, rest)
		}
		for i := range n {
			copy(coef[i*h.Rows*h.Width:], at[i*h.Width:(i+1)*h.Width])
		}
	}
	return m.collect(params, run(&Forward{Params: params, Split: true}, coef, nil))
}
