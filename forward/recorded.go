package forward

// Answered is the result of a step whose records are known already, with what they
// took when they were asked; antithetic says how.
func Answered(m Model, records []Record, antithetic bool) *Result {
	r := &Result{Records: records}
	for _, rec := range records {
		n := int64(len(rec.Coefs))
		if n == 0 { // nothing was asked
			continue
		}
		if antithetic && rec.PerDirection(antithetic) == 1 {
			n *= 2
		}
		r.Queries += n
		r.FLOPs += n * QueryFLOPs(m, rec.Perturbation)
	}
	return r
}
