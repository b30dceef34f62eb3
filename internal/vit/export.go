package vit

import (
	"fmt"

	"github.com/flops-vit/flops/internal/query"
	"gorgonia.org/gorgonia"
)

// Program is one of the network's graphs for a machine other than the CPU's.
// Its ops are FusedOps, whose Spec says what each computes; of the inputs, those
// of parameters carry the parameter's name, the images are Images, and what a
// suffix reads from the clean pass is named CleanPrefix and the activation's
// name. The values behind the inputs have no meaning.
type Program struct {
	Graph  *gorgonia.ExprGraph
	Slots  int
	Images *gorgonia.Node            // slots × C·H·W; nil in a suffix
	Seed   *gorgonia.Node            // slots: weights of the losses; nil where there is no gradient
	Logits *gorgonia.Node            // slots × Classes
	Losses *gorgonia.Node            // slots
	Taps   map[string]*gorgonia.Node // computed activations
	Reads  []Activation              // clean activations that a suffix reads
	Grads  gorgonia.Nodes            // of the parameters asked for
}

// Activation names an intermediate value of one image.
type Activation struct {
	Name        string
	Rows, Width int
}

// CleanPrefix begins the names of inputs that hold clean activations.
const CleanPrefix = "clean."

// export builds a graph over placeholders: its clean activations are one
// image's worth of memory, whatever the batch.
func (n *Net) export(slots int, build func(g *graph) error) (*Program, error) {
	own := *n
	own.store = &store{images: 1, tensors: map[string]*stored{}}
	var out *Program
	_, err := guard(func() (*program, error) {
		g := newGraph(&own, slots)
		if err := build(g); err != nil {
			return nil, err
		}
		out = &Program{Graph: g.g, Slots: slots, Images: g.images, Logits: g.logits, Losses: g.losses, Taps: map[string]*gorgonia.Node{}}
		for name, a := range g.taps {
			out.Taps[name] = a.node
		}
		for _, a := range g.cleans {
			out.Reads = append(out.Reads, Activation{a.name, a.rows, a.width})
		}
		return &program{graph: g}, nil
	})
	return out, err
}

// WholeProgram is the forward of slots images. split keeps the value before
// every GELU, which suffixes from mlp_in read; full computes the dead rows of
// the last block (structural_mask: false).
func (n *Net) WholeProgram(slots int, split, full bool) (*Program, error) {
	return n.export(slots, func(g *graph) error {
		g.split, g.full = split, full
		return g.network(nil)
	})
}

// SuffixProgram is what follows the given noisy sites, for slots queries.
func (n *Net) SuffixProgram(slots int, sites []int) (*Program, error) {
	return n.export(slots, func(g *graph) error {
		g.suffix = true
		return g.network(noiseSet(sites))
	})
}

// GradientProgram is the forward of slots images and its gradient by the given
// parameters.
func (n *Net) GradientProgram(slots int, params []*query.Param) (*Program, error) {
	var grads gorgonia.Nodes
	var seed *gorgonia.Node
	p, err := n.export(slots, func(g *graph) error {
		g.split = true
		if err := g.network(nil); err != nil {
			return err
		}
		seed = g.input("seed", make([]float32, slots), slots)
		var wrt gorgonia.Nodes
		for _, p := range params {
			wrt = append(wrt, g.param(p))
		}
		var err error
		if grads, err = gorgonia.Backpropagate(gorgonia.Nodes{g.losses}, gorgonia.Nodes{seed}, wrt); err != nil {
			return fmt.Errorf("vit: differentiate: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.Seed, p.Grads = seed, grads
	return p, nil
}
