package forward

import "github.com/flops-vit/flops/alloc"

// Share is what each item of a batch gets of a perturbation's queries.
type Share = alloc.Share

// chance is π_i.
func chance(s Share, i int) float32 {
	if s.Chance == nil {
		return 1
	}
	return s.Chance[i]
}

// over is what divides item i's sum over its directions: B·π_i·P_i.
func over(s Share, i int, antithetic bool) float32 {
	return float32(len(s.Counts)) * chance(s, i) * float32(pairs(s.Counts[i], antithetic))
}

// askedItems are those that have queries.
func askedItems(s Share) (n int64) {
	for _, c := range s.Counts {
		if c > 0 {
			n++
		}
	}
	return n
}

// askedQueries are those of all items.
func askedQueries(s Share) (n int64) {
	for _, c := range s.Counts {
		n += int64(c)
	}
	return n
}

// share is that of the k-th perturbation of the step's plan.
func (s *Step) share(k int) Share {
	if s.Shares != nil {
		return s.Shares[k]
	}
	return Share{Counts: s.Counts, Chance: s.Chance}
}

// ShareOf is that of a record, whose own stands there where the step's
// perturbations differ.
func (s *Step) ShareOf(r *Record) Share {
	if r.Share != nil {
		return *r.Share
	}
	return Share{Counts: s.Counts, Chance: s.Chance}
}

// record is that of the k-th perturbation of the step's plan before it was asked.
func (s *Step) record(k int, p Perturbation) Record {
	r := Record{Perturbation: p}
	if s.Shares != nil {
		share := s.share(k)
		r.Share = &share
	}
	return r
}
