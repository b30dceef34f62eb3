package vit

import (
	"fmt"

	"github.com/flops-vit/flops/forward"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// act is an activation while a graph is built: a node, or (clean) the stored
// activation of the clean pass, which becomes a node only where it is read.
type act struct {
	node        *gorgonia.Node
	clean       bool
	name        string
	rows, width int
}

// graph is one Gorgonia graph over a fixed number of slots, each of which
// evaluates one image.
type graph struct {
	net    *Net
	feed   *Feed
	slots  int
	noise  map[int]bool // sites that are noisy
	suffix bool         // read what carries no noise from the clean pass
	split  bool         // keep the value before every activation function
	full   bool         // also compute rows that nothing reads, as inputs of unmasked sites
	from   int          // above 0 the graph starts at that boundary of the outline, not at the images

	to    int  // above 0 the graph ends at that boundary
	first bool // and computes only the rows of it that the outputs are made of
	drawn int  // and so many beside these, which the feed names

	parted bool // of which no derivative goes to what the graph begins with

	straight bool // no derivative goes past the maps that end a block's branches

	met   int      // boundaries so far
	below bool     // what is built now lies below the boundary where the graph starts
	above bool     // what is built now comes after the boundary where the graph ends
	dead  bool     // what is built now are rows that nothing reads
	mark  string   // ends the names of ops that are built twice, for other rows
	out   *outline // of a graph that is built to be described

	g      *gorgonia.ExprGraph
	images *gorgonia.Node            // slots × C·H·W; from > 0: slots × the activation of the boundary
	params map[string]*gorgonia.Node // by name
	taps   map[string]act            // computed activations by name
	cleans map[string]act            // stored activations read, by name
	logits *gorgonia.Node            // slots × Classes
	losses *gorgonia.Node            // slots
	err    error
	zero   []float32
}

func newGraph(n *Net, slots int) *graph {
	return &graph{net: n, feed: newFeed(slots, len(n.sites)), slots: slots, g: gorgonia.NewGraph(),
		params: map[string]*gorgonia.Node{}, taps: map[string]act{}, cleans: map[string]act{}}
}

// op starts an op whose output is (slots·Rows)×Width.
func (g *graph) op(s Spec) *FusedOp {
	return &FusedOp{spec: s, feed: g.feed, shape: tensor.Shape{g.slots * s.Rows, s.Width}}
}

// apply adds an op; the first error sticks and stops the building.
func (g *graph) apply(o *FusedOp, in ...*gorgonia.Node) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	var n *gorgonia.Node
	n, g.err = apply(o, in...)
	return n
}

// param is the node of a parameter; its value is the parameter's own memory.
func (g *graph) param(p *forward.Param) *gorgonia.Node {
	g.out.param(g.net.Index(p.Name))
	n, ok := g.params[p.Name]
	if !ok {
		n = g.input(p.Name, p.Data, p.Shape...)
		g.params[p.Name] = n
	}
	return n
}

func (g *graph) input(name string, data []float32, shape ...int) *gorgonia.Node {
	v := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	return gorgonia.NewTensor(g.g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(v))
}

func (g *graph) zeros(n int) []float32 {
	if len(g.zero) < n {
		g.zero = make([]float32, n)
	}
	return g.zero[:n]
}

// read makes sure that an activation has a node: a clean one becomes an input
// over the stored activations of the whole batch.
func (g *graph) read(a act) act {
	if a.node != nil || g.err != nil {
		return a
	}
	if c, ok := g.cleans[a.name]; ok {
		return c
	}
	data := g.net.store.tensor(a.name, a.rows, a.width)
	a.node = g.input("clean."+a.name, data, len(data)/a.width, a.width)
	g.cleans[a.name] = a
	return a
}

// step is one activation: stored and clean where all that it depends on is, and
// otherwise computed by build from its inputs.
func (g *graph) step(name string, rows, width int, in []act, build func(in []act) *gorgonia.Node) act {
	a := act{name: name, rows: rows, width: width, clean: g.suffix}
	for _, x := range in {
		a.clean = a.clean && x.clean
	}
	if a.clean || g.below || g.above || g.err != nil {
		return a
	}
	g.out.begin(a, in, g.dead)
	for i := range in {
		in[i] = g.read(in[i])
	}
	a.node = build(in)
	g.taps[name] = a
	return a
}

// pixels are the images of the slots.
func (g *graph) pixels() act {
	x := act{name: "images", clean: g.suffix}
	if g.suffix || g.below {
		return x
	}
	n := g.net.Pixels()
	g.images = g.input("images", make([]float32, g.slots*n), g.slots, n)
	x.node = g.images
	return x
}

// network builds the forward from the images to the losses, with noise at the
// sites that noise names.
func (g *graph) network(noise map[int]bool) error {
	g.noise, g.below = noise, g.from > 0
	logits, _ := g.net.Arch.build(g)
	if g.to > 0 {
		return g.err
	}
	if g.err == nil && logits.node == nil {
		return fmt.Errorf("vit: a suffix with no noisy site")
	}
	g.logits = logits.node
	if g.err == nil {
		g.losses = g.loss(logits.node)
	}
	return g.err
}

// boundary marks an activation that everything after it depends on alone, so
// that a graph may start there.
func (g *graph) boundary(h act) act {
	if g.out != nil {
		g.out.bound(h)
	}
	g.met++
	if s := g.net.layer(g.met); s >= 0 {
		first, n := g.net.out.reading(h.rows)
		h = g.noisy(s, h, first, n, NoAct)
	}
	if g.to > 0 && g.to == g.met {
		g.above = true
	}
	if !g.below || g.net.out.boundaries[g.from-1].Name != h.name {
		return h
	}
	g.below = false
	g.images = g.input("start", make([]float32, g.slots*h.rows*h.width), g.slots*h.rows, h.width)
	return act{name: h.name, rows: h.rows, width: h.width, node: g.images}
}

// beginDead begins rows that nothing reads, and says whether they are wanted.
func (g *graph) beginDead() bool {
	if g.dead = g.full && !g.below; g.dead {
		g.mark = ".full"
	}
	return g.dead
}

func (g *graph) endDead() { g.dead, g.mark = false, "" }
