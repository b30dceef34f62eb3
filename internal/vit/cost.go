package vit

import (
	"slices"
	"strings"
)

// Costs are counted as multiplications and additions of the matrix products
// that a pass really computes, two per multiply-add: the last block counts its
// cls row alone, because no more is computed. Norms, GELU, softmax and noise
// are left out, as is usual.

func mm(m, n, k int) int64 { return 2 * int64(m) * int64(n) * int64(k) }

func (a Arch) patchFLOPs() int64 { return mm(a.Patches(), a.Hidden, a.PatchLen()) }

// blockRows is the number of rows that block l computes after its attention.
func (a Arch) blockRows(l int) int {
	if l == a.Layers-1 {
		return 1
	}
	return a.Tokens()
}

func (a Arch) attnFLOPs(l int) int64 { return 2 * mm(a.blockRows(l), a.Tokens(), a.Hidden) }

func (a Arch) tailFLOPs(l int) int64 { return 2 * mm(a.blockRows(l), a.MLP, a.Hidden) }

func (a Arch) blockFLOPs(l int) int64 {
	r := a.blockRows(l)
	return mm(r, a.Hidden, a.Hidden)*2 + mm(a.Tokens(), a.Hidden, a.Hidden)*2 + a.attnFLOPs(l) + a.tailFLOPs(l)
}

func (a Arch) headFLOPs() int64 { return mm(1, a.Classes, a.Hidden) }

// ForwardFLOPs is the cost of one clean forward of one image.
func (a Arch) ForwardFLOPs() int64 {
	n := a.patchFLOPs() + a.headFLOPs()
	for l := 0; l < a.Layers; l++ {
		n += a.blockFLOPs(l)
	}
	return n
}

// flopsFrom is the cost of a forward that starts at what goes into a block.
func (a Arch) flopsFrom(l int) int64 {
	if l == 0 {
		return a.ForwardFLOPs()
	}
	n := a.headFLOPs()
	for ; l < a.Layers; l++ {
		n += a.blockFLOPs(l)
	}
	return n
}

// suffixFLOPs is the cost of what follows a noisy site of block l.
func (a Arch) suffixFLOPs(l int, kind string) int64 {
	r := a.blockRows(l)
	n := a.headFLOPs()
	for j := l + 1; j < a.Layers; j++ {
		n += a.blockFLOPs(j)
	}
	switch kind {
	case Query, Key, Value:
		n += a.attnFLOPs(l) + mm(r, a.Hidden, a.Hidden) + a.tailFLOPs(l)
	case AttnOut:
		n += a.tailFLOPs(l)
	case MLPIn:
		n += a.tailFLOPs(l) / 2
	}
	return n
}

// BackwardFLOPs is the cost of the backward pass of one image for the parameters
// that are trained now, those with a gradient: one product per trained weight,
// and one per map, two per attention, that lies between a trained parameter and
// the loss.
func (n *Net) BackwardFLOPs() int64 {
	trained := func(i int) bool { return n.params[i].Grad != nil }
	feeds := func(names ...string) bool {
		for _, p := range n.params {
			for _, s := range names {
				if p.Grad != nil && strings.HasPrefix(p.Name, s) {
					return true
				}
			}
		}
		return false
	}
	var total int64
	below, input := false, false // something below is trained; the same of the block's attention inputs
	for _, s := range n.sites {
		switch s.Kind {
		case Query:
			if s.Block == 0 {
				below = below || feeds(nameCls, namePos, namePrompts)
			}
			below = below || feeds(blockPrefix(s.Block)+"layernorm_before")
			input = below
		case AttnOut:
			if below {
				total += 2 * n.Arch.attnFLOPs(s.Block)
			}
		case MLPIn:
			below = below || feeds(blockPrefix(s.Block)+"layernorm_after")
		case Classifier:
			below = below || feeds(nameNorm)
		}
		down := below
		if s.Kind == Key || s.Kind == Value {
			down = input
		}
		cost := mm(s.Live, s.Out, s.In)
		if down {
			total += cost
		}
		if trained(s.Weight) {
			total += cost
		}
		below = below || slices.ContainsFunc(s.Params(), trained)
	}
	return total
}
