package cuda

import "math"

// Scale writes res + gamma∘x of rows of width values, n a slot; res may be 0, and
// both are read at the slot's image where xi or ri is given.
func (d *Device) Scale(out, x, gamma, res, xi, ri Ptr, slots int, n int64, width int) error {
	return d.over("scale", n, slots, P(out), P(x), P(gamma), P(res), P(xi), P(ri), L(n), I(width))
}

// Combine writes a·b of n values a slot, or (a + b)/2.
func (d *Device) Combine(out, a, b, ai, bi Ptr, slots int, n int64, mean bool) error {
	return d.over("combine", n, slots, P(out), P(a), P(b), P(ai), P(bi), L(n), flag(mean))
}

// Halve writes a/2.
func (d *Device) Halve(out, a Ptr, n int64) error { return d.over("halve", n, 1, P(out), P(a), L(n)) }

// Pool writes the mean of each slot's rows from from on, after its first row
// where first.
func (d *Device) Pool(out, x Ptr, slots, rows, width, from int, first bool) error {
	return d.over("pool", int64(width), slots, P(out), P(x), I(rows), I(width), I(from), flag(first))
}

// PoolGrad writes the gradient of Pool by x.
func (d *Device) PoolGrad(dx, dy Ptr, slots, rows, width, from int, first bool) error {
	return d.over("pool_grad", int64(rows)*int64(width), slots, P(dx), P(dy), I(rows), I(width), I(from), flag(first))
}

// Places is where rows stand among high×wide patches, of which the first is row
// First; the rows before are no patches.
type Places struct{ First, High, Wide int }

// Turn turns each slot's rows by their places, or back.
func (d *Device) Turn(out, x Ptr, slots, rows, width, heads int, p Places, theta float64, back bool) error {
	n, sign := int64(rows)*int64(width)/2, float32(1)
	if back {
		sign = -1
	}
	return d.over("turn", n, slots, P(out), P(x), L(n), I(width), I(width/heads), I(p.First), I(p.High), I(p.Wide),
		F(float32(math.Log(theta))), F(sign))
}

// Bias writes what attention adds to its scores of rows, from row p.First on, and
// keys.
func (d *Device) Bias(out, table Ptr, rows, keys, heads int, p Places) error {
	n := int64(rows) * int64(keys)
	return d.over("bias", n, heads, P(out), P(table), L(n), I(heads), I(p.First), I(keys), I(p.High), I(p.Wide))
}

// BiasGrad writes its gradient by the table of so many entries.
func (d *Device) BiasGrad(dtable, dy Ptr, rows, keys, heads int, entries int64, p Places) error {
	return d.over("bias_grad", entries, heads, P(dtable), P(dy), L(int64(rows)*int64(keys)), L(entries), I(heads),
		I(p.First),
		I(keys), I(p.High), I(p.Wide))
}

// AddBias adds n values to those of each slot.
func (d *Device) AddBias(x, bias Ptr, slots int, n int64) error {
	return d.over("add_bias", n, slots, P(x), P(bias), L(n))
}

// SlotSum writes the sum of n values over all slots, times scale, or adds it.
func (d *Device) SlotSum(out, x Ptr, n int64, slots int, scale float32, accumulate bool) error {
	return d.over("slot_sum", n, 1, P(out), P(x), L(n), I(slots), F(scale), flag(accumulate))
}
