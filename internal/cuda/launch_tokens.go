package cuda

// Patches cuts images of chans×high×wide into rows of one patch each.
func (d *Device) Patches(out, images Ptr, slots, chans, high, wide, patch int) error {
	n := int64(slots) * int64(high/patch) * int64(wide/patch) * int64(chans) * int64(patch) * int64(patch)
	return d.over("patches", n, 1, P(out), P(images), L(n), I(chans), I(high), I(wide), I(patch))
}

// Embed writes rows of each slot's sequence of tokens rows, from row on: those of
// a parameter, or each slot's own, plus positions (0: none).
func (d *Device) Embed(out, z, positions Ptr, slots int, own bool, row, rows, tokens, width int) error {
	n := int64(rows) * int64(width)
	return d.over("embed", n, slots, P(out), P(z), P(positions), L(n), flag(own), L(int64(row)), L(int64(tokens)),
		I(width))
}

// Gather copies n values of each slot, which in x are ld apart and stand at
// index[slot], or at the slot where index is 0.
func (d *Device) Gather(out, x, index Ptr, slots int, n, ld int64) error {
	return d.over("gather", n, slots, P(out), P(x), P(index), L(n), L(ld))
}

// Spread writes n values of each slot among ld, from at on, and zeros around them.
func (d *Device) Spread(out, x Ptr, slots int, n, ld, at int64) error {
	return d.over("spread", ld, slots, P(out), P(x), L(n), L(ld), L(at))
}

// GatherRows copies rows of width values of each slot, those that its n numbers of at
// list, of rows in x.
func (d *Device) GatherRows(out, x, at Ptr, slots, n, rows, width int) error {
	size, ld := int64(n)*int64(width), int64(rows)*int64(width)
	return d.over("gather_rows", size, slots, P(out), P(x), P(at), L(size), L(ld), I(width))
}

// ScatterRows adds n rows of each slot to zeros, where at lists.
func (d *Device) ScatterRows(out, x, at Ptr, slots, n, rows, width int) error {
	size, ld := int64(n)*int64(width), int64(rows)*int64(width)
	return d.over("scatter_rows", ld, slots, P(out), P(x), P(at), L(size), L(ld), I(width))
}

// Activation writes f(x).
func (d *Device) Activation(f Function, out, x Ptr, n int64) error {
	return d.over("activation", n, 1, P(out), P(x), L(n), I(int(f)))
}

// ActivationGrad writes dy·f'(x).
func (d *Device) ActivationGrad(f Function, out, x, dy Ptr, n int64) error {
	return d.over("activation_grad", n, 1, P(out), P(x), P(dy), L(n), I(int(f)))
}

// Add writes a + b.
func (d *Device) Add(out, a, b Ptr, n int64) error {
	return d.over("add", n, 1, P(out), P(a), P(b), L(n))
}

// AttentionRow is attention with one query row a slot; q, k and v are read at
// the index of the slot where qi, ki, vi are not 0. tokens is at most
// MaxRowTokens.
func (d *Device) AttentionRow(out, q, k, v, qi, ki, vi Ptr, slots, tokens, heads, headDim int, scale float32) error {
	if slots <= 0 {
		return nil
	}
	return d.Launch("attention_row", Dim{heads, slots, 1}, Dim{128, 1, 1}, 0, Compute,
		[]Arg{P(out), P(q), P(k), P(v), P(qi), P(ki), P(vi), I(tokens), I(heads), I(headDim), F(scale)})
}

// MaxRowTokens is the longest sequence of AttentionRow, whose scores stand in
// shared memory.
const MaxRowTokens = 2048
