package forward

// workspace is the memory that an estimator uses again at every step, so that
// memory does not grow with the queries of a run.
type workspace struct {
	q      []Query
	losses []float32
	terms  []Term
}

// plan lists the queries of one perturbation, with room for their losses; both
// last until the next call.
func (w *workspace) plan(counts []int, antithetic bool) ([]Query, []float32) {
	w.q = plan(w.q, counts, antithetic)
	if cap(w.losses) < len(w.q) {
		w.losses = make([]float32, len(w.q))
	}
	return w.q, w.losses[:len(w.q)]
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

// plan lists the queries of one perturbation into q: image by image, pair by
// pair, + before −.
func plan(q []Query, counts []int, antithetic bool) []Query {
	q = q[:0]
	for i, n := range counts {
		for p := 0; p < pairs(n, antithetic); p++ {
			q = append(q, Query{Image: int32(i), Pair: int32(p), Sign: 1})
			if antithetic {
				q = append(q, Query{Image: int32(i), Pair: int32(p), Sign: -1})
			}
		}
	}
	return q
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
		P, over := pairs(n, antithetic), share.over(i, antithetic)
		for p := 0; p < P; p++ {
			if c[j] != 0 { // a direction that changed nothing adds nothing
				t = append(t, Term{Image: int32(i), Pair: int32(p), Coef: c[j] / over})
			}
			j++
		}
	}
	return t
}
