package cuda

// Steps of the ops that only some families have: scaled and gated branches,
// pooling, and places of patches.

// slotValues are the values of one slot's output.
func (o *op) slotValues() int64 { return int64(o.spec.Rows) * int64(o.spec.Width) }

func buildScale(o *op) (step, int64) {
	return func(r *Run) error {
		return o.dev.Scale(o.ptr(r), o.arg(0, r), o.arg(1, r), o.arg(2, r), o.index(0, r), o.index(2, r), r.N, o.slotValues(),
			o.spec.Width)
	}, 0
}

func buildScaleDX(o *op) (step, int64) {
	return func(r *Run) error {
		return o.dev.Scale(o.ptr(r), o.arg(0, r), o.arg(1, r), 0, 0, 0, r.N, o.slotValues(), o.spec.Width)
	}, 0
}

func buildScaleDG(o *op) (step, int64) {
	w := int64(o.spec.Width)
	scaled := align(4 * int64(o.slots) * o.slotValues())
	return func(r *Run) error {
		if err := o.dev.Combine(o.workspace(), o.arg(0, r), o.arg(1, r), 0, 0, r.N, o.slotValues(), false); err != nil {
			return err
		}
		return o.dev.ColumnSum(o.ptr(r), o.workspace(), int64(r.N)*int64(o.spec.Rows), w, w, false, o.workspace()+Ptr(scaled))
	}, scaled + ColumnSumWorkspace(w)
}

func buildCombine(o *op, mean bool) (step, int64) {
	return func(r *Run) error {
		return o.dev.Combine(o.ptr(r), o.arg(0, r), o.arg(1, r), o.index(0, r), o.index(1, r), r.N, o.slotValues(), mean)
	}, 0
}

func buildMeanGrad(o *op) (step, int64) {
	return func(r *Run) error { return o.dev.Halve(o.ptr(r), o.arg(0, r), o.values(r)) }, 0
}

func buildPool(o *op) (step, int64) {
	s, width := o.spec, o.spec.Width
	if s.First {
		width /= 2
	}
	return func(r *Run) error {
		return o.dev.Pool(o.ptr(r), o.arg(0, r), r.N, s.InRows, width, s.Offset, s.First)
	}, 0
}

func buildPoolGrad(o *op) (step, int64) {
	s := o.spec
	return func(r *Run) error {
		return o.dev.PoolGrad(o.ptr(r), o.arg(0, r), r.N, s.Rows, s.Width, s.Offset, s.First)
	}, 0
}

func buildRepeat(o *op) (step, int64) {
	return func(r *Run) error {
		return o.dev.Gather(o.ptr(r), o.arg(0, r), 0, r.N, int64(o.spec.Width), 0)
	}, 0
}

func (o *op) places() Places { return Places{o.spec.Offset, o.spec.High, o.spec.Wide} }

func buildTurn(o *op) (step, int64) {
	s := o.spec
	return func(r *Run) error {
		return o.dev.Turn(o.ptr(r), o.arg(0, r), r.N, s.Rows, s.Width, s.Heads, o.places(), s.Theta, s.Back)
	}, 0
}

func buildBias(o *op) (step, int64) {
	s := o.spec
	return func(r *Run) error {
		return o.dev.Bias(o.ptr(r), o.arg(0, r), s.InRows, s.Keys, s.Heads, o.places())
	}, 0
}

func buildBiasGrad(o *op) (step, int64) {
	s := o.spec
	return func(r *Run) error {
		return o.dev.BiasGrad(o.ptr(r), o.arg(0, r), s.InRows, s.Keys, s.Heads, o.size/int64(s.Heads), o.places())
	}, 0
}
