package forward

import "math"

// Variances implements Asker: V̂_i, the variance of one direction's contribution of
// each image to the gradient, up to one common constant: at a site
// mean_p r_ip² · m·(‖x_i‖²_F + rows), for weights mean_p c_ip² times their number;
// r is what is left of c beside what was predicted of it.
func (a *activation) Variances(m Model, s *Step, records []Record) [][]float64 {
	var out [][]float64
	for k := range records {
		out = append(out, a.variance(m, s, &records[k]))
	}
	return out
}

// Total is V̂_i over records, NaN of an image that none of them asked.
func Total(variances [][]float64, items int) []float64 {
	sum, seen := make([]float64, items), make([]bool, items)
	for _, of := range variances {
		for i, v := range of {
			if v == v {
				sum[i], seen[i] = sum[i]+v, true
			}
		}
	}
	for i, asked := range seen {
		if !asked {
			sum[i] = math.NaN()
		}
	}
	return sum
}

// variance is that of one record; nil where no query was asked.
func (a *activation) variance(m Model, s *Step, r *Record) []float64 {
	counts, perPair := s.ShareOf(r).Counts, a.perPair()
	switch r.Perturbation.Kind {
	case Outputs:
		return nil
	case Weights:
		d := 0
		for _, i := range r.Perturbation.Params {
			d += len(m.Params()[i].Data)
		}
		return variance(counts, r.Coefs, perPair, func(int) float64 { return float64(d) })
	}
	inputs := map[int][]float32{}
	for i, site := range a.Sites(s.Number) {
		inputs[site] = s.Clean.InputSq[i]
	}
	var sum []float64
	for k, site := range r.Perturbation.Sites {
		c := r.Coefs
		switch {
		case r.Left != nil:
			c = r.Left
		case r.Joint():
			c = pairCoefficients(r.Coefs, r.Perturbation.Sigma[k], perPair)
		}
		out, x := float64(m.Sites()[site].Dim()), inputs[site]
		v := variance(counts, c, perPair, func(i int) float64 { return out * float64(x[i]) })
		if sum == nil {
			sum = v
			continue
		}
		for i := range sum {
			sum[i] += v[i]
		}
	}
	return sum
}

// pairCoefficients turns the ℓ − b of every query of a joint perturbation into
// the c_ip of one site.
func pairCoefficients(c []float32, sigma float32, perPair int) []float32 {
	out := make([]float32, len(c)/perPair)
	for j := range out {
		if perPair == 2 {
			out[j] = (c[2*j] - c[2*j+1]) / (2 * sigma)
		} else {
			out[j] = c[j] / sigma
		}
	}
	return out
}

// variance is mean_p c_ip² · scale_i of each image.
func variance(counts []int, c []float32, perPair int, scale func(i int) float64) []float64 {
	v := make([]float64, len(counts))
	j := 0
	for i, n := range counts {
		P := n / perPair
		var s float64
		for range P {
			s += float64(c[j]) * float64(c[j])
			j++
		}
		v[i] = s / float64(P) * scale(i) // 0/0 where there is no direction
	}
	return v
}
