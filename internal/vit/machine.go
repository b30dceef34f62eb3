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
}

type instr struct {
	op    gorgonia.Op
	out   gorgonia.Value
	nodes gorgonia.Nodes // the inputs
	in    []gorgonia.Value
	from  []int
}

// NewMachine compiles what the kept nodes need. The values of kept nodes stay
// readable after a run; those of other nodes do not.
func NewMachine(g *gorgonia.ExprGraph, keep ...*gorgonia.Node) (*Machine, error) {
	return newMachineIn(func(n int64) []float32 { return make([]float32, n) }, g, keep...)
}

// newMachineIn is NewMachine in an arena of so many values, which others may have: the
// values of kept nodes then stay until one of these runs.
func newMachineIn(arena func(values int64) []float32, g *gorgonia.ExprGraph, keep ...*gorgonia.Node) (*Machine, error) {
	order, last := Schedule(g, keep...)
	m := &Machine{}
	const line = 16 // values of a cache line
	places, total := Place(order, last, line)
	m.arena = arena(total)
	at := map[*gorgonia.Node]int{}
	for i, n := range order {
		p, size := places[n], int64(n.Shape().TotalSize())
		v := tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(m.arena[p.At:p.At+size:p.At+size]))
		in := instr{op: n.Op(), out: v, nodes: Inputs(g, n)}
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
func (m *Machine) Bytes() int { return 4 * len(m.arena) }
