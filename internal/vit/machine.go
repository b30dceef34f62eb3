package vit

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Machine runs a graph of fused ops on the CPU: a gorgonia.VM that, unlike the
// TapeMachine, keeps its memory between runs (TapeMachine.Reset drops every
// register) and allocates nothing in a run. Values live in one arena, where an
// activation gives its place to a later one once it has been read for the last
// time. A test runs the same graphs on both.
type Machine struct {
	prog  []instr
	arena []float32
	bytes int
}

type instr struct {
	op    gorgonia.Op
	out   gorgonia.Value
	nodes gorgonia.Nodes // the inputs
	in    []gorgonia.Value
	slot  int // in values, for other instructions
	from  []int
}

// span is a piece of the arena.
type span struct{ at, n int }

// NewMachine compiles what the kept nodes need. The values of kept nodes stay
// readable after a run; those of other nodes do not.
func NewMachine(g *gorgonia.ExprGraph, keep ...*gorgonia.Node) (*Machine, error) {
	need := map[*gorgonia.Node]bool{}
	var mark func(n *gorgonia.Node)
	children := func(n *gorgonia.Node) gorgonia.Nodes {
		var c gorgonia.Nodes
		for it := g.From(n.ID()); it.Next(); {
			c = append(c, it.Node().(*gorgonia.Node))
		}
		return c
	}
	mark = func(n *gorgonia.Node) {
		if need[n] {
			return
		}
		need[n] = true
		for _, c := range children(n) {
			mark(c)
		}
	}
	for _, n := range keep {
		mark(n)
	}
	var order gorgonia.Nodes // children stand before their parents: nodes are numbered as they are made
	last := map[*gorgonia.Node]int{}
	for _, n := range g.AllNodes() {
		if !need[n] || n.Op() == nil {
			continue
		}
		for _, c := range children(n) {
			last[c] = len(order)
		}
		order = append(order, n)
	}
	for _, n := range keep {
		last[n] = len(order)
	}
	m := &Machine{}
	places := plan(order, last, &m.bytes)
	m.arena = make([]float32, m.bytes/4)
	at := map[*gorgonia.Node]int{}
	for i, n := range order {
		p, size := places[n], n.Shape().TotalSize()
		v := tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(m.arena[p.at:p.at+size:p.at+size]))
		in := instr{op: n.Op(), out: v, nodes: children(n), slot: i}
		in.in = make([]gorgonia.Value, len(in.nodes))
		for _, c := range in.nodes {
			j, ok := at[c]
			if !ok {
				j = -1
				if c.Op() != nil && c.Value() == nil {
					return nil, fmt.Errorf("vit: node %s is read before it is computed", c.Name())
				}
			}
			in.from = append(in.from, j)
		}
		at[n] = i
		m.prog = append(m.prog, in)
		if err := gorgonia.UnsafeLet(n, v); err != nil {
			return nil, fmt.Errorf("vit: node %s: %w", n.Name(), err)
		}
	}
	return m, nil
}

// plan places every node's value in the arena, first fit over what is free at
// that instruction.
func plan(order gorgonia.Nodes, last map[*gorgonia.Node]int, bytes *int) map[*gorgonia.Node]span {
	const align = 16 // floats: one cache line
	places := map[*gorgonia.Node]span{}
	var live []*gorgonia.Node
	top := 0
	for i, n := range order {
		kept := live[:0]
		for _, l := range live {
			if last[l] >= i {
				kept = append(kept, l)
			}
		}
		live = kept
		size := (n.Shape().TotalSize() + align - 1) / align * align
		at := firstFit(live, places, size)
		places[n] = span{at, size}
		live = append(live, n)
		if at+size > top {
			top = at + size
		}
	}
	*bytes = 4 * top
	return places
}

// firstFit is the lowest address where size floats overlap no live value.
func firstFit(live []*gorgonia.Node, places map[*gorgonia.Node]span, size int) int {
	at := 0
	for moved := true; moved; {
		moved = false
		for _, l := range live {
			p := places[l]
			if at < p.at+p.n && p.at < at+size {
				at, moved = p.at+p.n, true
			}
		}
	}
	return at
}

// RunAll computes every kept node from the values that its inputs have now.
func (m *Machine) RunAll() error {
	for i := range m.prog {
		in := &m.prog[i]
		for j, from := range in.from {
			if from >= 0 {
				in.in[j] = m.prog[from].out
			} else {
				in.in[j] = in.nodes[j].Value()
			}
		}
		op, ok := in.op.(gorgonia.UsePreallocDoer)
		if !ok {
			return fmt.Errorf("vit: op %v cannot compute in place", in.op)
		}
		if _, err := op.UsePreallocDo(in.out, in.in...); err != nil {
			return fmt.Errorf("vit: %v: %w", in.op, err)
		}
	}
	return nil
}

// Reset does nothing: a Machine can always run again.
func (m *Machine) Reset() {}

// Close gives the memory back to the collector.
func (m *Machine) Close() error { m.prog, m.arena = nil, nil; return nil }

// Bytes is the size of the arena.
func (m *Machine) Bytes() int { return m.bytes }
