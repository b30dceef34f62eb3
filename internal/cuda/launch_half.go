package cuda

import (
	"fmt"
	"math"
)

// Kernels in bf16 (kernels/sm80), which need compute capability 8.0.

// eights launches a kernel with a thread per eight values.
func (d *Device) eights(kernel string, n int64, args ...Arg) error {
	return d.over(kernel, (n+7)/8, 1, args...)
}

// Round writes n floats as bf16.
func (d *Device) Round(out, x Ptr, n int64) error {
	return d.eights("round_bf16", n, P(out), P(x), L(n))
}

// splitParts is how many bf16 a float is the sum of, to its last bit.
const splitParts = 3

// Split writes n floats as the sum of splitParts bf16, gap values from part to part.
func (d *Device) Split(out, x Ptr, n, gap int64) error {
	return d.eights("split_bf16", n, P(out), P(x), L(n), L(gap))
}

// Widen writes n bf16 as floats.
func (d *Device) Widen(out, x Ptr, n int64) error {
	return d.eights("widen_bf16", n, P(out), P(x), L(n))
}

// halfNorm is the widest row that HalfNorm takes, in eights.
const halfNorm = 2048

// HalfNorm is LayerNorm to bf16: of floats, or where half of bf16.
func (d *Device) HalfNorm(out, x, gamma, beta Ptr, rows, width int, eps float32, half bool) error {
	kernel := "norm_bf16_"
	if half {
		kernel = "norm_half_"
	}
	if width > 768 {
		kernel += "8"
	} else {
		kernel += "3"
	}
	return d.overRows(kernel, int64(rows), P(out), P(x), P(gamma), P(beta), L(int64(rows)), I(width), F(eps))
}

// HalfActivation writes f(x) of n values in bf16, a multiple of 8.
func (d *Device) HalfActivation(f Function, out, x Ptr, n int64) error {
	if f == Identity && out == x {
		return nil
	}
	return d.eights("activation_bf16", n, P(out), P(x), L(n), I(int(f)))
}

// HalfPatches is Patches in bf16, of patches whose side is a multiple of 8.
func (d *Device) HalfPatches(out, images Ptr, slots, chans, high, wide, patch int) error {
	n := int64(slots) * int64(high/patch) * int64(wide/patch) * int64(chans) * int64(patch) * int64(patch)
	return d.eights("patches_bf16", n, P(out), P(images), L(n), I(chans), I(high), I(wide), I(patch))
}

// HalfEmbed is Embed of each slot's own rows in bf16; width is a multiple of 8.
func (d *Device) HalfEmbed(out, z, positions Ptr, slots, row, rows, tokens, width int) error {
	n := int64(slots) * int64(rows) * int64(width)
	return d.eights("embed_bf16", n, P(out), P(z), P(positions), L(n), I(rows), I(row), I(tokens), I(width))
}

// StreamEmbed is Embed to bf16: of each slot's own rows in bf16, or of a parameter's
// floats; width is a multiple of 8.
func (d *Device) StreamEmbed(out, own, parameter, positions Ptr, slots, row, rows, tokens, width int) error {
	n := int64(slots) * int64(rows) * int64(width)
	return d.eights("embed_half", n, P(out), P(own), P(parameter), P(positions), L(n), I(rows), I(row), I(tokens),
		I(width))
}

// attentionWidths are the heads that a kernel of attention is made for; a narrower
// one, a multiple of 8, is padded.
var attentionWidths = []int{32, 64, 80, 128}

// halfHead is the width that a head is padded to, 0 where no kernel takes it.
func halfHead(d int) int {
	for _, w := range attentionWidths {
		if d%8 == 0 && d <= w {
			return w
		}
	}
	return 0
}

// residentShared is the shared memory with which two blocks of attention still fit a
// multiprocessor; longer sequences go through it in parts.
const residentShared = 110 << 10

// HalfAttention is attention of whole sequences in bf16, of heads that halfHead
// takes: q and out have rows of heads·d values, k and v tokens of them. Those of q stand
// ldq values apart, those of k and v ldk, those of out without a gap.
func (d *Device) HalfAttention(out, q, k, v Ptr, slots, rows, tokens, heads, head, ldq, ldk int) error {
	wide := halfHead(head)
	row := 2 * wide // bytes of a row in shared memory: kernels/sm80/attention.cu, heap
	if wide%64 != 0 {
		row += 16
	}
	_, most := d.Limits()
	room := (tokens + 15) / 16 * 16
	groups := (rows + 15) / 16
	per := groups
	if cap := min(most, residentShared) / (2 * row) / 16 * 16; room > cap {
		room, per = cap, 4
	}
	width := heads * head
	scale := float32(math.Log2E / math.Sqrt(float64(head)))
	for lo := 0; lo < slots; lo += maxGridZ {
		n := min(maxGridZ, slots-lo)
		at := func(p Ptr, rows, ld int) Ptr { return p + Ptr(2*int64(lo)*int64(rows)*int64(ld)) }
		err := d.Launch(fmt.Sprint("attention_", wide), Dim{(groups + per - 1) / per, heads, n}, Dim{128, 1, 1}, 2*room*row,
			Compute,
			[]Arg{P(at(out, rows, width)), P(at(q, rows, ldq)), P(at(k, tokens, ldk)), P(at(v, tokens, ldk)), I(rows),
				I(tokens), I(head), I(ldq), I(ldk), I(width), F(scale), I(room), I(per)})
		if err != nil {
			return err
		}
	}
	return nil
}
