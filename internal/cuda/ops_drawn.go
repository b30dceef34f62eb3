package cuda

// Steps of the ops of rows that are drawn.

func buildGather(o *op) (step, int64) {
	s := o.spec
	return func(r *Run) error {
		return o.dev.GatherRows(o.ptr(r), o.arg(0, r), r.Rows, r.N, s.Rows, s.InRows, s.Width)
	}, 0
}

func buildScatter(o *op) (step, int64) {
	s := o.spec
	return func(r *Run) error {
		return o.dev.ScatterRows(o.ptr(r), o.arg(0, r), r.Rows, r.N, s.InRows, s.Rows, s.Width)
	}, 0
}

// buildApart copies a value, whose other inputs say what it was made of.
func buildApart(o *op) (step, int64) {
	slot := 4 * o.size / int64(o.slots)
	return func(r *Run) error { return o.dev.CopyWithin(o.ptr(r), o.arg(0, r), slot*int64(r.N), Compute) }, 0
}
