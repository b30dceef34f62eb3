package vit

import (
	"cmp"
	"fmt"
)

// Pool says which rows an encoder's outputs are made of.
type Pool int

// What the outputs are made of.
const (
	PoolCls       Pool = iota // the cls row
	PoolMean                  // the mean of the patches
	PoolBoth                  // the cls row and the mean of the patches, one after the other
	PoolHeads                 // the cls row and the distillation row, each with a classifier
	PoolAttention             // what a learned row finds by attention (Zhai et al. 2022, arXiv 2106.04560)
	PoolRows                  // all rows as they are, for looking at
)

// String says it in words.
func (p Pool) String() string {
	return [...]string{"cls row", "mean of the patches", "cls row and mean of the patches",
		"cls and distillation rows, a classifier each", "attention pooling", "all rows"}[p]
}

// Pooling says in words what the outputs are made of.
func (e Encoder) Pooling() string {
	switch said := e.Pool.String(); {
	case e.PoolLead && e.Pool == PoolMean:
		return "mean of all rows"
	case e.PoolLead && e.Pool == PoolAttention:
		return said + " of all rows"
	default:
		return said
	}
}

// live are the rows of the last block that pooling reads: n from lo on.
func (e Encoder) live() (lo, n int) {
	switch {
	case e.Pool == PoolCls:
		return 0, 1
	case e.Pool == PoolHeads:
		return 0, 2
	case e.Pool == PoolMean && !e.PoolLead:
		return e.Tokens() - e.Patches(), e.Patches()
	case e.Pool == PoolAttention && !e.PoolLead: // prompts are there to be read
		return e.Lead(), e.Tokens() - e.Lead()
	}
	return 0, e.Tokens()
}

// pooledShape is the shape of what pooling makes.
func (e Encoder) pooledShape() (rows, width int) {
	switch e.Pool {
	case PoolBoth:
		return 1, 2 * e.Hidden
	case PoolRows:
		return e.Tokens(), e.Hidden
	}
	return 1, e.Hidden
}

// pooled makes the embedding of the live rows.
func (e Encoder) pooled(g *graph, h act) act {
	switch e.Pool {
	case PoolMean:
		return g.pooled("pooled", h, pool{from: 0})
	case PoolBoth:
		return g.pooled("pooled", h, pool{first: true, from: e.Tokens() - e.Patches()})
	case PoolAttention:
		return e.asked(g, h)
	}
	return h
}

// asked is pooling by attention: one learned row asks the live rows, and a feed-forward
// layer follows, whose residual is taken before its norm.
func (e Encoder) asked(g *graph, x act) act {
	n := e.Names.Pool
	m := func(kind, name string, x act, f Act, res ...act) act {
		return g.mapped(kind, -1, n.Maps[kind], "pool."+name, x, f, res...)
	}
	probe := g.repeated("pool.probe", n.Probe, e.Hidden)
	q := m(PoolQuery, "q", probe, NoAct)
	k, v := m(PoolKey, "k", x, NoAct), m(PoolValue, "v", x, NoAct)
	p := m(PoolOut, "h", g.attended("pool.a", "pool.attention", q, k, v, e.Heads, relative{}, false), NoAct)
	y := g.normed("pool.x", n.Norm, p, e.Eps)
	return m(PoolMLPOut, "out", m(PoolMLPIn, "g", y, e.act()), NoAct, p)
}

// poolMLP is the width of the feed-forward layer of attention pooling.
func (e Encoder) poolMLP() int { return cmp.Or(e.PoolMLP, e.MLP) }

// twoHeads are the logits of two classifiers, and their mean; the embedding is the
// mean of their rows.
func (e Encoder) twoHeads(g *graph, h act) (logits, features act) {
	cls, dist := g.taken("f.cls", h, 0, 1), g.taken("f.dist", h, 1, 1)
	f := g.mean("features", cls, dist)
	if e.Classes == 0 {
		return f, f
	}
	u := g.mapped(Classifier, -1, e.Names.Classifier, "logits.cls", cls, NoAct)
	v := g.mapped(Distilled, -1, e.Names.Distilled, "logits.dist", dist, NoAct)
	return g.mean("logits", u, v), f
}

// Layers of an encoder that View shows.
const (
	LayerCls        = "cls"
	LayerMean       = "mean"
	LayerPooled     = "pooled"
	LayerProjection = "projection"
	LayerLast       = "last"
)

// View is the encoder whose outputs are one of its layers: cls, the first row, as
// it is read where it is; mean, of the patches after the last block and its norm;
// pooled, what classifier or projection would be made of; projection; last, all
// rows after the last block and its norm.
func (e Encoder) View(layer string) (Encoder, error) {
	e.Classes, e.Bare = 0, true
	if layer == LayerProjection {
		if e.Projected == 0 {
			return e, fmt.Errorf("the model has no projection")
		}
		return e, nil
	}
	e.Projected = 0
	if layer == LayerPooled {
		return e, nil
	}
	e.Tanh = false
	switch layer {
	case LayerCls:
		if e.NoCls {
			return e, fmt.Errorf("the model has no cls token")
		}
		e.PooledNorm = e.PooledNorm && e.Pool == PoolCls
		e.Pool = PoolCls
	case LayerMean:
		e.Pool, e.PoolLead, e.PooledNorm = PoolMean, false, false
	case LayerLast:
		e.Pool, e.PooledNorm = PoolRows, false
	default:
		return e, fmt.Errorf("no layer %q", layer)
	}
	return e, nil
}
