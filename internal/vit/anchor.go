package vit

import (
	"github.com/flops-vit/flops/forward"
)

// Link is what lies between the outputs of a site's map and its anchor, of which the
// clean pass stores what its derivative takes.
type Link struct {
	forward.Anchor
	Kind LinkKind
	Runs Runs       // of the rows that it stands for, each Width/len(Runs) wide
	Act  Act        // AtActivation: the function
	Z    Activation // and what it is of
	Part int        // AtAttention: 0 query, 1 key, 2 value

	Q, K, V Activation // AtAttention
	Heads   int
}

// LinkKind says what an anchor is.
type LinkKind int

// The anchors that there are.
const (
	NoLink       LinkKind = iota
	AtOutput              // the map's output itself
	AtActivation          // an activation function's output
	AtAttention           // the sums of an attention
)

// activated notes the activation function after a site's map.
func (o *outline) activated(site int, z act, f Act, dead bool) {
	if o == nil || dead {
		return
	}
	r := o.together(z.rows)
	o.linked(site, Link{Anchor: forward.Anchor{Name: string(f) + "." + z.name, Width: len(r) * z.width, Teaches: true},
		Kind: AtActivation, Runs: r, Act: f, Z: z.activation()})
}

// together are the runs of so many rows; nil where they are neither one nor those that
// the outputs are made of.
func (o *outline) together(rows int) Runs {
	switch {
	case rows == 1:
		return alone
	case len(o.read) > 0 && rows == o.read.rows():
		return o.read
	}
	return nil
}

// attends notes an attention whose query, key and value are sites' outputs.
func (o *outline) attends(name string, q, k, v act, heads int, dead bool) {
	if o == nil || dead || o.together(q.rows) == nil {
		return
	}
	r := o.together(q.rows)
	l := Link{Anchor: forward.Anchor{Name: name, Width: len(r) * v.width}, Kind: AtAttention, Runs: r, Heads: heads,
		Q: q.activation(), K: k.activation(), V: v.activation()}
	for part, x := range []act{q, k, v} {
		for i := range o.steps {
			if s := &o.steps[i]; s.Name == x.name && s.site >= 0 && !s.dead {
				l.Part, l.Teaches = part, part == 2
				o.linked(s.site, l)
			}
		}
	}
}

// linked notes a site's link.
func (o *outline) linked(site int, l Link) {
	for len(o.links) <= site {
		o.links = append(o.links, Link{})
	}
	o.links[site] = l
}

// anchored gives the sites that nothing was noted of their own outputs as anchors, and
// takes away the links of sites whose rows reach the loss each in its own way: there is
// one row, or they are those of the last block that the outputs are made of.
func (o *outline) anchored(sites []forward.Site) {
	last := len(o.boundaries) - 1
	for i, s := range sites {
		if r := o.together(o.masked[i].Rows); i >= len(o.links) || o.links[i].Kind == NoLink {
			o.linked(i, Link{Anchor: forward.Anchor{Name: s.Name, Width: len(r) * s.Out, Teaches: true}, Kind: AtOutput,
				Runs: r})
		}
		if l := &o.links[i]; len(l.Runs) == 0 || l.Runs.rows() > 1 && s.Block != last ||
			l.Kind != AtAttention && o.masked[i].Rows != l.Runs.rows() {
			*l = Link{}
		}
	}
}

// SumFLOPs implements forward.Summed: the rows that the gradient pairs noise with.
func (m *Model) SumFLOPs(site int) int64 {
	s := m.net.sites[site]
	return mm(m.net.SiteInput(site, m.mask).Rows, s.Out, s.In)
}

// Anchor implements forward.Anchored. A site whose gradient pairs noise with rows
// that reach no loss has none.
func (m *Model) Anchor(site int) (forward.Anchor, bool) {
	l := &m.net.out.links[site]
	return l.Anchor, l.Kind != NoLink && m.net.SiteInput(site, m.mask) == m.net.SiteInput(site, true)
}
