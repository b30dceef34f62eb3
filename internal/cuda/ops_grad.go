package cuda

// Steps of the ops that Gorgonia's differentiation builds (the bp baseline).

func buildEmbedGrad(o *op) (step, int64) {
	s := o.spec
	d, t := int64(s.Width), int64(s.InRows)
	most := int64(0)
	for _, x := range s.Segments {
		most = max(most, int64(x.Rows))
	}
	return func(r *Run) error {
		for _, x := range s.Segments {
			n, from := int64(x.Rows)*d, o.arg(0, r)+Ptr(4*int64(x.Row)*d)
			at := int64(0)
			switch s.Part {
			case 0:
				if x.Token == 0 {
					return o.dev.Gather(o.ptr(r), from, 0, r.N, n, t*d)
				}
				continue
			case x.Token:
			case x.Table:
				at = int64(x.Position) * d
			default:
				continue
			}
			if err := o.dev.ColumnSum(o.ptr(r)+Ptr(4*at), from, int64(r.N), n, t*d, false, o.workspace()); err != nil {
				return err
			}
		}
		return nil
	}, ColumnSumWorkspace(most * d)
}

func buildLinearDX(o *op) (step, int64) {
	n := o.spec.Width
	k := int(o.sizes[1]) / n
	return func(r *Run) error {
		return o.dev.Gemm(Gemm{Form: NN, M: r.N * o.spec.Rows, N: n, K: k, Alpha: 1, C: Operand{Ptr: o.ptr(r), Ld: n},
			A: Operand{Ptr: o.arg(0, r), Ld: k}, B: Operand{Ptr: o.arg(1, r), Ld: n}})
	}, 0
}

func buildLinearDW(o *op) (step, int64) {
	m := int(o.sizes[0]) / (o.slots * o.spec.Rows)
	n := int(o.size) / m
	return func(r *Run) error {
		return o.dev.Gemm(Gemm{Form: TN, M: m, N: n, K: r.N * o.spec.Rows, Alpha: 1, C: Operand{Ptr: o.ptr(r), Ld: n},
			A: Operand{Ptr: o.arg(0, r), Ld: m}, B: Operand{Ptr: o.arg(1, r), Ld: n}})
	}, 0
}

func buildColSum(o *op) (step, int64) {
	w := int64(o.spec.Width)
	return func(r *Run) error {
		return o.dev.ColumnSum(o.ptr(r), o.arg(0, r), int64(r.N)*int64(o.spec.Rows), w, w, false, o.workspace())
	}, ColumnSumWorkspace(w)
}

func buildNormDX(o *op) (step, int64) {
	return func(r *Run) error {
		return o.dev.NormGrad(o.ptr(r), 0, o.arg(0, r), o.arg(1, r), o.arg(2, r), r.N*o.spec.Rows, o.spec.Width, o.spec.Eps)
	}, 0
}

func buildNormDG(o *op) (step, int64) {
	w := int64(o.spec.Width)
	scaled := align(4 * int64(o.slots) * int64(o.spec.Rows) * w)
	return func(r *Run) error {
		rows := r.N * o.spec.Rows
		if err := o.dev.NormGrad(0, o.workspace(), o.arg(0, r), o.arg(1, r), o.arg(2, r), rows, o.spec.Width,
			o.spec.Eps); err != nil {
			return err
		}
		return o.dev.ColumnSum(o.ptr(r), o.workspace(), int64(rows), w, w, false, o.workspace()+Ptr(scaled))
	}, scaled + ColumnSumWorkspace(w)
}

func buildActGrad(o *op) (step, int64) {
	return func(r *Run) error {
		return o.dev.ActivationGrad(function(o.spec.Act), o.ptr(r), o.arg(0, r), o.arg(1, r), o.values(r))
	}, 0
}

func buildAttentionGrad(o *op) (step, int64) {
	work := 2 * attentionWork(o.slots, o.spec.Heads, o.spec.Rows, o.spec.Keys)
	nq := int64(o.slots) * int64(o.spec.Rows) * int64(o.spec.Width)
	nk := int64(o.slots) * int64(o.spec.Keys) * int64(o.spec.Width)
	return func(r *Run) error {
		dq := o.ptr(r)
		dk := dq + Ptr(4*nq)
		var dbias Ptr
		if o.spec.Biased {
			dbias = dk + Ptr(8*nk)
		}
		return o.dev.AttentionGrad(dq, dk, dk+Ptr(4*nk), dbias, o.arg(len(o.in)-1, r), o.attention(r), o.workspace(), work)
	}, work
}

func buildPart(o *op) (step, int64) {
	return func(r *Run) error {
		n := o.values(r)
		if o.spec.Rows == 0 { // the same for all slots
			n = o.size
		}
		return o.dev.CopyWithin(o.ptr(r), o.arg(0, r)+Ptr(4*o.spec.Offset), 4*n, Compute)
	}, 0
}

func buildRowsGrad(o *op) (step, int64) {
	w := int64(o.spec.Width)
	return func(r *Run) error {
		return o.dev.Spread(o.ptr(r), o.arg(0, r), r.N, w*int64(o.spec.InRows), w*int64(o.spec.Rows), w*int64(o.spec.Offset))
	}, 0
}

func buildLossGrad(o *op) (step, int64) {
	return func(r *Run) error {
		return o.dev.CrossEntropyGrad(o.ptr(r), o.arg(0, r), r.Slots.Label, o.arg(1, r), r.N, o.spec.Width)
	}, 0
}

func buildAdd(o *op) (step, int64) {
	return func(r *Run) error { return o.dev.Add(o.ptr(r), o.arg(0, r), o.arg(1, r), o.size) }, 0
}
