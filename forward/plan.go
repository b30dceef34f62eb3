package forward

import "context"

// workspace is the memory that an estimator uses again at every step, so that
// memory does not grow with the queries of a run.
type workspace struct {
	asked   []Questions
	outputs [][]float32 // of Changes
	terms   []Term
}

// ask asks the queries of a step's perturbations; what they say lasts until the next
// call.
func (w *workspace) ask(ctx context.Context, s *Step, plan []Perturbation, antithetic bool) ([]Questions, error) {
	for len(w.asked) < len(plan) {
		w.asked, w.outputs = append(w.asked, Questions{}), append(w.outputs, nil)
	}
	all := w.asked[:len(plan)]
	for k := range plan {
		a := &all[k]
		a.Perturbation, a.Queries = &plan[k], Planned(a.Queries, 0, s.share(k).Counts, antithetic)
		if cap(a.Losses) < len(a.Queries) {
			a.Losses = make([]float32, len(a.Queries))
		}
		a.Losses = a.Losses[:len(a.Queries)]
	}
	var losses, shown []Questions // answers of one call are of one length each
	for k := range all {
		if all[k].Outputs = nil; plan[k].Kind == Changes {
			w.outputs[k] = room(w.outputs[k], len(all[k].Queries)*s.Clean.Classes)
			all[k].Outputs = w.outputs[k]
			shown = append(shown, all[k])
		} else {
			losses = append(losses, all[k])
		}
	}
	if len(shown) > 0 {
		if err := askAll(ctx, s.Pass, shown); err != nil {
			return nil, err
		}
	}
	if len(losses) == 0 {
		return all, nil
	}
	return all, askAll(ctx, s.Pass, losses)
}

// weigh lists the terms of the gradient, which last until the next call.
func (w *workspace) weigh(share Share, c []float32, antithetic bool) []Term {
	w.terms = weigh(w.terms, share, c, antithetic)
	return w.terms
}

// pairs is the number P_i of directions of an image with n queries.
func pairs(n int, antithetic bool) int {
	if antithetic {
		return n / 2
	}
	return n
}

// coefficients turns losses into c_ip: (ℓ₊−ℓ₋)/2σ for a pair, (ℓ−b_i)/σ with
// the clean loss as baseline for a single direction.
func coefficients(q []Query, losses, clean []float32, sigma float32, antithetic bool) []float32 {
	if !antithetic {
		c := make([]float32, len(q))
		for j, x := range q {
			c[j] = (losses[j] - clean[x.Image]) / sigma
		}
		return c
	}
	c := make([]float32, len(q)/2)
	for j := range c {
		c[j] = (losses[2*j] - losses[2*j+1]) / (2 * sigma)
	}
	return c
}

// weigh turns coefficients into terms with the weights that keep the estimate
// unbiased for every allocation.
func weigh(t []Term, share Share, c []float32, antithetic bool) []Term {
	t = t[:0]
	j := 0
	for i, n := range share.Counts {
		P, over := pairs(n, antithetic), over(share, i, antithetic)
		for p := 0; p < P; p++ {
			if c[j] != 0 { // a direction that changed nothing adds nothing
				t = append(t, Term{Image: int32(i), Pair: int32(p), Coef: c[j] / over})
			}
			j++
		}
	}
	return t
}
