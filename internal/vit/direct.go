package vit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/noise"
	"gorgonia.org/gorgonia"
)

// The kinds of sites whose noise is added to parameters themselves.
const (
	Bias   = "bias"   // of a map: all rows of its output move alike
	Norm   = "norm"   // scale and shift of a layer norm
	Tokens = "prompt" // learned tokens
)

// Direct makes sites of parameters that noise is added to themselves, of every image
// its own, each of a group of them: the bias of a map, the scale and shift of a norm, or
// learned tokens. It returns their numbers, those first of which more of the network
// comes after. Call it before the network is put on a device.
func (n *Net) Direct(groups [][]int) ([]int, error) {
	var out []int
	for _, params := range groups {
		i, err := n.directOf(params)
		if err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	slices.SortStableFunc(out, func(a, b int) int { return int(n.sites[b].FLOPs - n.sites[a].FLOPs) })
	return out, nil
}

// directOf is the site of one group.
func (n *Net) directOf(params []int) (int, error) {
	first := n.params[params[0]]
	s := forward.Site{Kind: first.Role, Block: first.Block, Rows: 1, Live: 1, Weight: -1, Bias: -1,
		Direct: slices.Clone(params)}
	for _, p := range params {
		s.Out += len(n.params[p].Data)
	}
	at, i, o := "", len(n.sites), n.out
	base := strings.TrimSuffix(first.Name, ".weight")
	switch of := slices.IndexFunc(n.sites, func(x forward.Site) bool { return x.Bias == params[0] }); {
	case of >= 0:
		s.Kind, s.Name = Bias, n.sites[of].Name+"."+Bias
		o.same[i] = of
		if o.functions[of] {
			o.functions[i] = true
		}
	case s.Kind == Norm && len(params) == 2:
		s.Name, at = base, o.madeWith(params[0])
	case s.Kind == Tokens:
		s.Name, at = first.Name, o.madeWith(params[0])
	default:
		return 0, fmt.Errorf("vit: no noise is added to %s itself", first.Name)
	}
	if at != "" {
		if o.origin == nil {
			o.origin = map[int]string{}
		}
		o.origin[i] = at
	}
	if n.direct == nil {
		n.direct = map[int]int{}
	}
	n.direct[params[0]] = i
	n.sites, n.linears = append(n.sites, s), append(n.linears, nil)
	none := Activation{Rows: 1}
	o.masked, o.unmasked = append(o.masked, none), append(o.unmasked, none)
	o.linked(i, Link{Anchor: forward.Anchor{Name: s.Name, Width: s.Out, Teaches: true}, Kind: AtOutput,
		Runs: alone})
	n.sites[i].FLOPs = o.after(i)
	return i, nil
}

// madeWith is the activation that a parameter goes into.
func (o *outline) madeWith(param int) string {
	for _, s := range o.steps {
		if !s.dead && slices.Contains(s.uses, param) {
			return s.Name
		}
	}
	return ""
}

// directSite is the site of a parameter that noise is added to itself, -1 where there
// is none.
func (n *Net) directSite(param string) int {
	if i, ok := n.direct[n.Index(param)]; ok {
		return i
	}
	return -1
}

// biasSite is that of the bias of a site's map.
func (n *Net) biasSite(site int) int {
	if site >= 0 {
		if i, ok := n.direct[n.sites[site].Bias]; ok && n.sites[site].Bias >= 0 {
			return i
		}
	}
	return -1
}

// Blind says that nothing changes where all rows of a map move alike: of keys the
// softmax sees differences alone, unless something comes between.
func (n *Net) Blind(site int) bool {
	if n.sites[site].Kind != Key {
		return false
	}
	for _, s := range n.out.steps {
		if !s.dead && !s.twice && slices.ContainsFunc(s.reads, func(i int) bool { return n.out.steps[i].site == site }) {
			return false
		}
	}
	return true
}

// Blind is that of the network's sites.
func (m *Model) Blind(site int) bool { return m.net.Blind(site) }

// Direct says whether the device adds noise to parameters themselves.
func (m *Model) Direct() bool {
	d, ok := m.b.(interface{ Direct() bool })
	return ok && d.Direct()
}

// moved is x + sign·σ·ε in rows offset to offset+live−1 alike, then the function.
func (g *graph) moved(site int, x act, offset, live int, f Act) act {
	x = g.read(x)
	if g.err != nil {
		return x
	}
	feed, rows, width := g.feed, x.rows, x.width
	o := g.op(Spec{Kind: OpMove, Name: "noise." + g.net.sites[site].Name, Rows: rows, Width: width, Act: f, Site: site,
		Offset: offset, Indexed: []bool{x.clean}})
	o.run = func(out []float32, v [][]float32) {
		for s := range feed.Slots {
			y := out[s*rows*width : (s+1)*rows*width]
			copy(y, feed.source(x, v[0], s, rows*width))
			eps := feed.direct(s, site, width)
			for r := offset; r < offset+live; r++ {
				kernel.AddTo(y[r*width:(r+1)*width], eps)
			}
			f.apply(y, y)
		}
	}
	return act{name: x.name + "+", rows: rows, width: width, node: g.apply(o, x.node)}
}

// shaken is the layer norm of rows of d values, of which one row of x may hold
// several, whose scale and shift have each slot's noise.
func (g *graph) shaken(site int, name, base string, x act, rows, d int, eps float64) act {
	x = g.read(x)
	if g.err != nil {
		return x
	}
	feed := g.feed
	gamma, beta := g.net.param(base+".weight"), g.net.param(base+".bias")
	o := g.op(Spec{Kind: OpShake, Name: "noise." + base, Rows: x.rows, Width: x.width, Site: site, Eps: float32(eps),
		Indexed: []bool{x.clean}})
	o.run = func(out []float32, v [][]float32) {
		for s := range feed.Slots {
			p := feed.direct(s, site, 2*d)
			kernel.AddTo(p[:d], v[1])
			kernel.AddTo(p[d:], v[2])
			n := rows * d
			kernel.LayerNormRows(out[s*n:(s+1)*n], d, feed.source(x, v[0], s, n), d, rows, d, p[:d], p[d:],
				float32(eps), nil, nil)
		}
	}
	return act{name: name + "+", rows: x.rows, width: x.width,
		node: g.apply(o, []*gorgonia.Node{x.node, g.param(gamma), g.param(beta)}...)}
}

// direct is sign·σ·ε of a slot at a site of n numbers.
func (f *Feed) direct(slot, site, n int) []float32 {
	eps := f.buf(0, n)
	f.Noise.Fill(eps, f.counter(slot, site), 0)
	kernel.Scale(eps, float32(f.Sign[slot])*f.Sigma[site])
	return eps
}

// sumDirect adds Σ C·over·ε of the terms to the gradients of a site's parameters.
func (p *pass) sumDirect(site int, step uint32, terms []forward.Term, over float32) {
	m := p.m
	eps := sized(m.e, m.net.sites[site].Out)
	m.e = eps
	for _, t := range terms {
		c := t.Coef * over
		if t.Sign != 0 {
			c *= float32(t.Sign)
		}
		at := noise.Counter{Step: step, Site: uint32(site), Image: uint32(t.Image), Pair: uint32(t.Pair)}
		m.noise.Fill(eps, at, 0)
		m.addDirect(site, c, eps)
	}
}

// addDirect adds c·e to the gradients of a site's parameters.
func (m *Model) addDirect(site int, c float32, e []float32) {
	at := 0
	for _, i := range m.net.sites[site].Direct {
		p := m.net.params[i]
		if p.Grad != nil {
			kernel.Axpy(p.Grad, c, e[at:at+len(p.Data)])
		}
		at += len(p.Data)
	}
}

// withoutDirect adds the gradients of a joint perturbation that need no input, and puts
// the sites of the others first.
func (p *pass) withoutDirect(t *forward.Perturbation, terms []forward.Term) *forward.Perturbation {
	out := *t
	out.Sites, out.Sigma = nil, nil
	var direct forward.Perturbation
	for k, s := range t.Sites {
		if len(p.m.net.sites[s].Direct) > 0 {
			p.sumDirect(s, t.Step, terms, 1/t.Sigma[k])
			direct.Sites, direct.Sigma = append(direct.Sites, s), append(direct.Sigma, t.Sigma[k])
			continue
		}
		out.Sites, out.Sigma = append(out.Sites, s), append(out.Sigma, t.Sigma[k])
	}
	out.Sites, out.Sigma = append(out.Sites, direct.Sites...), append(out.Sigma, direct.Sigma...)
	return &out
}
