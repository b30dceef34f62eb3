package cuda

import "gorgonia.org/gorgonia"

// place is a piece of a VM's region, in bytes.
type place struct{ at, n int64 }

func align(n int64) int64 { return (n + alignment - 1) / alignment * alignment }

// inputs lists what an op reads, in the order of its arguments.
func inputs(g *gorgonia.ExprGraph, n *gorgonia.Node) gorgonia.Nodes {
	var c gorgonia.Nodes
	for it := g.From(n.ID()); it.Next(); {
		c = append(c, it.Node().(*gorgonia.Node))
	}
	return c
}

// schedule lists the ops that the kept nodes need, inputs before what reads
// them, and the position of each value's last reader.
func schedule(g *gorgonia.ExprGraph, keep gorgonia.Nodes) (order gorgonia.Nodes, last map[*gorgonia.Node]int) {
	need := map[*gorgonia.Node]bool{}
	var mark func(n *gorgonia.Node)
	mark = func(n *gorgonia.Node) {
		if need[n] {
			return
		}
		need[n] = true
		for _, c := range inputs(g, n) {
			mark(c)
		}
	}
	for _, n := range keep {
		mark(n)
	}
	last = map[*gorgonia.Node]int{}
	for _, n := range g.AllNodes() { // numbered as they were made: inputs first
		if !need[n] || n.Op() == nil {
			continue
		}
		for _, c := range inputs(g, n) {
			last[c] = len(order)
		}
		order = append(order, n)
	}
	for _, n := range keep {
		last[n] = len(order)
	}
	return order, last
}

// plan places every value, first fit over what is free at its op, and returns
// the bytes in all.
func plan(order gorgonia.Nodes, last map[*gorgonia.Node]int) (map[*gorgonia.Node]place, int64) {
	places := map[*gorgonia.Node]place{}
	var live []*gorgonia.Node
	var top int64
	for i, n := range order {
		kept := live[:0]
		for _, l := range live {
			if last[l] >= i {
				kept = append(kept, l)
			}
		}
		live = kept
		size := align(4 * int64(n.Shape().TotalSize()))
		at := firstFit(live, places, size)
		places[n] = place{at, size}
		live = append(live, n)
		top = max(top, at+size)
	}
	return places, top
}

// firstFit is the lowest address where size bytes overlap no live value.
func firstFit(live []*gorgonia.Node, places map[*gorgonia.Node]place, size int64) int64 {
	var at int64
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
