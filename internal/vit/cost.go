package vit

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
