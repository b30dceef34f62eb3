package vit

import (
	"fmt"
	"slices"

	"github.com/flops-vit/flops/forward"
)

// reads notes which rows of the last block's output the outputs are made of.
func (o *outline) reads(lo int, r Runs) {
	if o == nil {
		return
	}
	o.read, o.first = r, lo
}

// layers makes the sites that are a block's output, noisy at the rows that the outputs
// are made of. They come after all others, whose numbers name noise.
func (o *outline) layers(n *Net) {
	o.same = map[int]int{}
	if len(o.read) == 0 {
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

// reading are the first of the rows read of a block's output, and their number, where so
// many rows of it are computed.
func (o *outline) reading(rows int) (first, n int) {
	if n = o.read.rows(); rows > n {
		first = o.first
	}
	return first, n
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

// Within lists the parameters that lie between two boundaries, 0 being the images.
func (n *Net) Within(from, to int) []int { return n.out.within(from, to) }

// MapOf is the site of the map that a site's noise comes after: of a map itself.
func (n *Net) MapOf(site int) int { return n.out.mapOf(site) }

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

var _ forward.Layered = (*Model)(nil)

// Layer implements forward.Layered.
func (m *Model) Layer(site int) (forward.Layer, bool) {
	s := m.net.sites[site]
	if d, ok := m.b.(interface{ Layers() bool }); s.Kind != Residual || !ok || !d.Layers() {
		return forward.Layer{}, false
	}
	o, to := m.net.out, s.Block+1
	l := forward.Layer{Number: s.Block, Last: to == len(o.boundaries), Width: s.Out, Params: o.within(s.Block, to),
		First: o.first, Reads: o.read.rows(), Runs: o.read}
	if s.Block > 0 {
		l.Rows = o.boundaries[s.Block-1].Rows
	}
	l.Outs = o.boundaries[s.Block].Rows
	for _, kind := range []string{AttnOut, MLPOut} {
		if i, ok := m.net.bySite[siteKey{kind, s.Block}]; ok {
			x := m.net.sites[i]
			flops := m.net.weightFLOPs(i, l.Reads, mm(l.Reads, x.Out, x.In))
			l.Adds = append(l.Adds, forward.Addend{Params: x.Params(), FLOPs: flops})
		}
	}
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
	return n + part.backward(m.net, own)
}

// Top implements forward.Layered.
func (m *Model) Top() []int { return m.net.Top() }

// Top lists the parameters after the last boundary.
func (n *Net) Top() []int { return used(n.out.steps[n.out.at[len(n.out.at)-1]:]) }
