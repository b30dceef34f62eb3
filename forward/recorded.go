package forward

// Answered implements Asker.
func (a *activation) Answered(m Model, s *Step, records []Record) *Result {
	r := &Result{Records: records}
	items := int64(s.Batch.Size)
	for k := range records {
		rec := &records[k]
		if rec.Perturbation.Kind == Outputs {
			r.FLOPs += items * SumFLOPs(m, rec.Perturbation.Sites[0])
			continue
		}
		n := rec.queries(a.o.Antithetic)
		if rec.Wide() {
			n = askedQueries(s.ShareOf(rec))
		}
		r.Queries += n
		r.FLOPs += passFLOPs(m, rec.Perturbation, n, a.summed(rec.Perturbation, items, askedItems(s.ShareOf(rec))))
	}
	return r
}

// Answered implements Asker.
func (w *weight) Answered(m Model, _ *Step, records []Record) *Result {
	r := &Result{Records: records}
	for k := range records {
		n := records[k].queries(w.o.Antithetic)
		r.Queries += n
		r.FLOPs += passFLOPs(m, records[k].Perturbation, n, 0)
	}
	return r
}

// queries is how many a record's coefficients were made of.
func (r *Record) queries(antithetic bool) int64 {
	n := int64(len(r.Coefs))
	if antithetic && r.PerDirection(antithetic) == 1 {
		n *= 2
	}
	return n
}

// Predicted are the coefficients that a record would have had the queries said what
// was predicted of them, and nothing where nothing was. Of the changes of outputs it is
// those of least difference by which the losses change so.
func (r *Record) Predicted(c *Clean) []float32 {
	out := make([]float32, len(r.Coefs))
	if !r.Wide() {
		for d, left := range r.Left {
			out[d] = r.Coefs[d] - left
		}
		return out
	}
	e, err := c.OutputGradient(1)
	if err != nil || e == nil || r.items == nil {
		return out
	}
	C := c.Classes
	copy(out, r.Coefs)
	for d, left := range r.Left {
		of := e[int(r.items[d])*C:][:C]
		if sq := dot(of, of); sq > 0 {
			axpy(out[d*C:(d+1)*C], -left/sq, of)
		}
	}
	return out
}
