package forward

// Share is what each item of a batch gets of a perturbation's queries.
type Share struct {
	Counts []int // queries of each item; 0 of one that was not drawn
	// Chance is that with which each item was drawn to have its queries; nil where
	// every item has some.
	Chance []float32
}

// chance is π_i.
func (s Share) chance(i int) float32 {
	if s.Chance == nil {
		return 1
	}
	return s.Chance[i]
}

// over is what divides item i's sum over its directions: B·π_i·P_i.
func (s Share) over(i int, antithetic bool) float32 {
	return float32(len(s.Counts)) * s.chance(i) * float32(pairs(s.Counts[i], antithetic))
}

// queries is how many there are in all.
func (s Share) queries() int {
	n := 0
	for _, c := range s.Counts {
		n += c
	}
	return n
}

// share is that of the k-th perturbation of the step's plan.
func (s *Step) share(k int) Share {
	if s.Shares != nil {
		return s.Shares[k]
	}
	return Share{s.Counts, s.Chance}
}

// shareOf is that of a record, whose own stands there where the step's
// perturbations differ.
func (s *Step) shareOf(r *Record) Share {
	if r.Share != nil {
		return *r.Share
	}
	return Share{s.Counts, s.Chance}
}
