package cuda

// LayerNorm writes (x − mean)·rstd·gamma + beta of each row of d values.
func (d *Device) LayerNorm(out, x, gamma, beta Ptr, rows, width int, eps float32) error {
	return d.overRows("layer_norm", int64(rows), P(out), P(x), P(gamma), P(beta), L(int64(rows)), I(width), F(eps))
}

// NormGrad writes the gradient by x to dx and dy·x̂ to scaled; either may be 0.
func (d *Device) NormGrad(dx, scaled, dy, x, gamma Ptr, rows, width int, eps float32) error {
	return d.overRows("norm_grad", int64(rows), P(dx), P(scaled), P(dy), P(x), P(gamma), L(int64(rows)), I(width), F(eps))
}

// Softmax replaces each row of n values by its softmax.
func (d *Device) Softmax(x Ptr, rows, n int) error {
	return d.overRows("softmax", int64(rows), P(x), L(int64(rows)), I(n))
}

// SoftmaxGrad turns dp into p·(dp − Σ p·dp)·scale.
func (d *Device) SoftmaxGrad(dp, p Ptr, rows, n int, scale float32) error {
	return d.overRows("softmax_grad", int64(rows), P(dp), P(p), L(int64(rows)), I(n), F(scale))
}

// CrossEntropy writes −log softmax(row)[label] of each row of n logits.
func (d *Device) CrossEntropy(out, logits, labels Ptr, rows, n int) error {
	return d.overRows("cross_entropy", int64(rows), P(out), P(logits), P(labels), L(int64(rows)), I(n))
}

// CrossEntropyGrad writes weight·(softmax(row) − onehot(label)) of each row.
func (d *Device) CrossEntropyGrad(out, logits, labels, weight Ptr, rows, n int) error {
	return d.overRows("cross_entropy_grad", int64(rows), P(out), P(logits), P(labels), P(weight), L(int64(rows)), I(n))
}

// SumSq writes extra + Σ x² of each image's n values.
func (d *Device) SumSq(out, x Ptr, images int, n int64, extra float32) error {
	if images <= 0 {
		return nil
	}
	return d.Launch("sum_sq", Dim{images, 1, 1}, Dim{256, 1, 1}, 0, Compute, []Arg{P(out), P(x), L(n), F(extra)})
}

// sumChunks is the number of partial sums that a tall matrix is cut into, so
// that a narrow one still fills the device.
const sumChunks = 64

// ColumnSumWorkspace is the number of bytes that ColumnSum needs.
func ColumnSumWorkspace(width int64) int64 { return 4 * sumChunks * width }

// ColumnSum writes to out, or adds to it, the sum of the rows of x, which are ld
// values apart, width of them counted. The order of the sum depends on the
// number of rows alone.
func (d *Device) ColumnSum(out, x Ptr, rows, width, ld int64, accumulate bool, workspace Ptr) error {
	if width <= 0 {
		return nil
	}
	pass := func(out, x Ptr, rows, ld, chunk int64, n int, accumulate bool) error {
		return d.Launch("column_sum", Dim{blocks(width, 32), n, 1}, Dim{256, 1, 1}, 0, Compute,
			[]Arg{P(out), P(x), L(rows), L(width), L(ld), L(chunk), flag(accumulate)})
	}
	chunk := max(64, (rows+sumChunks-1)/sumChunks)
	n := blocks(rows, chunk)
	if n <= 1 {
		return pass(out, x, rows, ld, max(rows, 1), 1, accumulate)
	}
	if err := pass(workspace, x, rows, ld, chunk, n, false); err != nil {
		return err
	}
	return pass(out, workspace, int64(n), width, int64(n), 1, accumulate)
}
