package cuda

// Patches cuts images of chans×side×side into rows of one patch each.
func (d *Device) Patches(out, images Ptr, slots, chans, side, patch int) error {
	n := int64(slots) * int64(chans) * int64(side) * int64(side)
	return d.over("patches", n, 1, P(out), P(images), L(n), I(chans), I(side), I(patch))
}

// Embed assembles the sequences of cls token, prompts (0: none) and patches.
func (d *Device) Embed(out, z, cls, pos, prompts Ptr, slots, tokens, patches, width int) error {
	n := int64(slots) * int64(tokens) * int64(width)
	return d.over("embed", n, 1, P(out), P(z), P(cls), P(pos), P(prompts), L(n), I(tokens), I(patches), I(width))
}

// Gather copies n values of each slot, which in x are ld apart and stand at
// index[slot], or at the slot where index is 0.
func (d *Device) Gather(out, x, index Ptr, slots int, n, ld int64) error {
	return d.over("gather", n, slots, P(out), P(x), P(index), L(n), L(ld))
}

// Spread writes n values of each slot and ld−n zeros after them.
func (d *Device) Spread(out, x Ptr, slots int, n, ld int64) error {
	return d.over("spread", ld, slots, P(out), P(x), L(n), L(ld))
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
