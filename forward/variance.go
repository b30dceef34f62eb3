package forward

// Variance is V̂_i, the variance of one direction's contribution of each image
// to the gradient, up to one common constant: at a site
// mean_p c_ip² · m·(‖x_i‖²_F + rows), for weights mean_p c_ip² times their
// number. sites are those that the clean pass was told of, in its order.
func Variance(m Model, s *Step, records []Record, sites []int, antithetic bool) []float64 {
	v := make([]float64, s.Batch.Size)
	inputs := map[int][]float32{}
	for i, site := range sites {
		inputs[site] = s.Clean.InputSq[i]
	}
	perPair := 1
	if antithetic {
		perPair = 2
	}
	for _, r := range records {
		if r.Perturbation.Kind == Weights {
			d := 0
			for _, i := range r.Perturbation.Params {
				d += len(m.Params()[i].Data)
			}
			addVariance(v, s.Counts, r.Coefs, perPair, func(int) float64 { return float64(d) })
			continue
		}
		for k, site := range r.Perturbation.Sites {
			c := r.Coefs
			if r.Joint() {
				c = pairCoefficients(r.Coefs, r.Perturbation.Sigma[k], perPair)
			}
			out, x := float64(m.Sites()[site].Out), inputs[site]
			addVariance(v, s.Counts, c, perPair, func(i int) float64 { return out * float64(x[i]) })
		}
	}
	return v
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

// addVariance adds mean_p c_ip² · scale_i to each image's V̂.
func addVariance(v []float64, counts []int, c []float32, perPair int, scale func(i int) float64) {
	j := 0
	for i, n := range counts {
		P := n / perPair
		var s float64
		for range P {
			s += float64(c[j]) * float64(c[j])
			j++
		}
		if P > 0 {
			v[i] += s / float64(P) * scale(i)
		}
	}
}
