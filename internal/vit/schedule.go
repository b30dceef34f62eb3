package vit

import "gorgonia.org/gorgonia"

// Inputs lists what a node's op reads, in the order of its arguments.
func Inputs(g *gorgonia.ExprGraph, n *gorgonia.Node) gorgonia.Nodes {
	var c gorgonia.Nodes
	for it := g.From(n.ID()); it.Next(); {
		c = append(c, it.Node().(*gorgonia.Node))
	}
	return c
}

// Schedule lists the ops that the kept nodes need, inputs before what reads them,
// and the position of each value's last reader, which of a kept one is the end.
func Schedule(g *gorgonia.ExprGraph, keep ...*gorgonia.Node) (order gorgonia.Nodes, last map[*gorgonia.Node]int) {
	need := map[*gorgonia.Node]bool{}
	var mark func(n *gorgonia.Node)
	mark = func(n *gorgonia.Node) {
		if need[n] {
			return
		}
		need[n] = true
		for _, c := range Inputs(g, n) {
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
		for _, c := range Inputs(g, n) {
			last[c] = len(order)
		}
		order = append(order, n)
	}
	for _, n := range keep {
		last[n] = len(order)
	}
	return order, last
}

// Span is a piece of an arena, in values.
type Span struct{ At, Len int64 }

// Place gives every value its piece of an arena, a multiple of align values: first
// fit over what is free when its op runs. total is the size of the arena.
func Place(order gorgonia.Nodes, last map[*gorgonia.Node]int, align int64) (places map[*gorgonia.Node]Span,
	total int64) {
	places = map[*gorgonia.Node]Span{}
	var live []*gorgonia.Node
	for i, n := range order {
		kept := live[:0]
		for _, l := range live {
			if last[l] >= i {
				kept = append(kept, l)
			}
		}
		live = kept
		size := (int64(n.Shape().TotalSize()) + align - 1) / align * align
		at := firstFit(live, places, size)
		places[n] = Span{at, size}
		live = append(live, n)
		total = max(total, at+size)
	}
	return places, total
}

// firstFit is the lowest address where so many values overlap no live one.
func firstFit(live []*gorgonia.Node, places map[*gorgonia.Node]Span, size int64) int64 {
	var at int64
	for moved := true; moved; {
		moved = false
		for _, l := range live {
			p := places[l]
			if at < p.At+p.Len && p.At < at+size {
				at, moved = p.At+p.Len, true
			}
		}
	}
	return at
}
