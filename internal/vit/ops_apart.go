package vit

import (
	"slices"

	"gorgonia.org/gorgonia"
)

// apart is a value once more, as a node of its own whose derivative goes to the
// parameters that it is made of, and not to what the graph begins with: the way of
// rows whose gradient is wanted by the former alone, beside others of the same value.
func (g *graph) apart(a act) act {
	a.node = g.apartOf(a.node, map[*gorgonia.Node]*gorgonia.Node{})
	return a
}

// apartOf is apart of a node, with those that were made before.
func (g *graph) apartOf(n *gorgonia.Node, made map[*gorgonia.Node]*gorgonia.Node) *gorgonia.Node {
	if g.err != nil || n == nil {
		return n
	}
	if m, ok := made[n]; ok {
		return m
	}
	of, computed := n.Op().(*FusedOp)
	if n != g.images && !computed { // a parameter
		return n
	}
	in := gorgonia.Nodes{n}
	o := g.op(Spec{Kind: OpApart, Name: "apart." + n.Name()})
	o.shape = n.Shape().Clone()
	o.run = func(out []float32, v [][]float32) { copy(out, v[0]) }
	if n != g.images {
		o.spec.Name = "apart." + of.spec.Kind + "." + of.spec.Name
		o.spec.Indexed = append([]bool{true}, of.spec.Indexed...)
		for _, x := range Inputs(g.g, n) {
			in = append(in, g.apartOf(x, made))
		}
		o.grad = func(in gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error) {
			grads, err := of.grad(slices.Clone(in[1:]), out, dy)
			return append(gorgonia.Nodes{dy}, grads...), err
		}
	}
	made[n] = g.apply(o, in...)
	return made[n]
}
