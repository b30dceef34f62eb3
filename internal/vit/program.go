package vit

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// Program is one of the network's graphs for a machine. Its ops are FusedOps,
// whose Spec says what each computes; of the inputs, those of parameters carry the
// parameter's name, and what a suffix reads of the store is named CleanPrefix and
// the activation's name.
type Program struct {
	Graph  *gorgonia.ExprGraph
	Slots  int
	Start  *gorgonia.Node            // slots × the images, or the activation of a boundary; nil in a suffix
	Seed   *gorgonia.Node            // slots: weights of the losses, or of what the graph ends at; nil without a gradient
	Rest   *gorgonia.Node            // slots: weights of the rows that are drawn; nil without
	Logits *gorgonia.Node            // slots × outputs
	Losses *gorgonia.Node            // slots
	Taps   map[string]*gorgonia.Node // computed activations
	Reads  []Activation              // of the store
	Grads  gorgonia.Nodes            // by Forward.Params, and by what the graph begins with where Forward.Below
	Kept   gorgonia.Nodes            // what is read after a run

	feed *Feed
}

// Activation names an intermediate value of one image.
type Activation struct {
	Name        string
	Rows, Width int
}

// CleanPrefix begins the names of inputs that stand in the store.
const CleanPrefix = "clean."

// Outline is the network over a store of one image, whose graphs tell a machine
// other than the CPU's what to compute: the values behind their inputs have no
// meaning.
func (n *Net) Outline() *Net { return n.over(1) }

// over is the network with a store for so many images.
func (n *Net) over(images int) *Net {
	own := *n
	own.store = &store{images: images, tensors: map[string]*stored{}}
	return &own
}

// Program builds a graph for so many slots. A panic of Gorgonia's is an error.
func (n *Net) Program(slots int, f *Forward) (*Program, error) {
	return guard(func() (*Program, error) { return n.program(slots, f) })
}

func (n *Net) program(slots int, f *Forward) (*Program, error) {
	g := newGraph(n, slots)
	g.suffix, g.from, g.split, g.full = len(f.Sites) > 0, f.From, f.Split, f.Full
	g.to, g.first, g.drawn, g.straight = f.To, f.Pooled, f.Drawn, f.Straight
	if g.drawn > 0 {
		g.parted = f.Below
		g.feed.Rows = make([]int32, slots*g.drawn)
	}
	if err := g.network(noiseSet(f.Sites)); err != nil {
		return nil, err
	}
	p := &Program{Graph: g.g, Slots: slots, Start: g.images, Logits: g.logits, Losses: g.losses,
		Taps: map[string]*gorgonia.Node{}, feed: g.feed}
	if !f.Only && f.To == 0 {
		p.Kept = gorgonia.Nodes{g.losses, g.logits}
	}
	for name, a := range g.taps {
		p.Taps[name] = a.node
	}
	for _, a := range g.cleans {
		p.Reads = append(p.Reads, a.activation())
	}
	if err := p.keep(n, f); err != nil {
		return nil, err
	}
	var wrt gorgonia.Nodes
	for _, i := range f.Params {
		wrt = append(wrt, g.param(n.params[i]))
	}
	if f.Below {
		wrt = append(wrt, g.images)
	}
	if len(wrt) == 0 {
		return p, nil
	}
	return p, p.differentiate(g, f, wrt)
}

// differentiate adds the gradients by wrt of what the graph ends at. Of rows that are
// drawn nothing goes to what it begins with.
func (p *Program) differentiate(g *graph, f *Forward, wrt gorgonia.Nodes) (err error) {
	seed := func(name string, end *gorgonia.Node) *gorgonia.Node {
		return g.input(name, make([]float32, end.Shape().TotalSize()), end.Shape()...)
	}
	end := g.losses
	if f.To > 0 {
		end = p.Taps[g.net.out.boundaries[f.To-1].Name]
	}
	ends, seeds := gorgonia.Nodes{}, gorgonia.Nodes{}
	if f.Drawn > 0 {
		p.Rest = seed("rest", end)
		ends, seeds = append(ends, end), append(seeds, p.Rest)
		end = p.Taps[at("h"+rowMark, f.To)]
	}
	p.Seed = seed("seed", end)
	if p.Grads, err = gorgonia.Backpropagate(append(ends, end), append(seeds, p.Seed), wrt); err != nil {
		return fmt.Errorf("vit: differentiate: %w", err)
	}
	p.Kept = append(p.Kept, p.Grads...)
	return nil
}

// keep adds the activations that are read after a run. Inputs of sites that a
// suffix does not compute stand in the store.
func (p *Program) keep(n *Net, f *Forward) error {
	names := f.Keep
	if f.Features {
		names = append([]string{n.Features().Name}, names...)
	}
	for _, name := range names {
		if p.Taps[name] == nil {
			return fmt.Errorf("vit: no activation %s", name)
		}
		p.Kept = append(p.Kept, p.Taps[name])
	}
	for _, a := range f.Inputs {
		if t := p.Taps[a.Name]; t != nil {
			p.Kept = append(p.Kept, t)
		}
	}
	return nil
}

// guard turns a panic of Gorgonia's into an error.
func guard[T any](build func() (T, error)) (out T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("vit: gorgonia: %v", r)
		}
	}()
	return build()
}

func noiseSet(sites []int) map[int]bool {
	s := map[int]bool{}
	for _, i := range sites {
		s[i] = true
	}
	return s
}
