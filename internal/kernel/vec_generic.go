package kernel

import "math"

// Portable versions of the vector kernels, for processors without generated
// assembly and as the reference of its tests.

func expGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = float32(math.Exp(float64(v)))
	}
}

// phi returns Φ(v) and the density φ(v).
func phi(v float64) (cdf, pdf float64) {
	return 0.5 * math.Erfc(-v/math.Sqrt2), math.Exp(-0.5*v*v) / math.Sqrt(2*math.Pi)
}

func geluGeneric(dst, x []float32) {
	for i, v := range x {
		v64 := max(float64(v), -16)
		cdf := 0.5 * math.Erfc(-v64/math.Sqrt2)
		dst[i] = float32(v64 * cdf)
	}
}

func geluGradGeneric(dst, x, dy []float32) {
	for i, v := range x {
		v64 := max(min(float64(v), 16), -16)
		cdf, pdf := phi(v64)
		dst[i] = dy[i] * float32(cdf+v64*pdf)
	}
}

func addGeneric(dst, a, b []float32) {
	for i, v := range a {
		dst[i] = v + b[i]
	}
}

func subGeneric(dst, a, b []float32) {
	for i, v := range a {
		dst[i] = v - b[i]
	}
}

func axpyGeneric(dst []float32, alpha float32, x []float32) {
	for i, v := range x {
		dst[i] += alpha * v
	}
}

func scaleGeneric(dst []float32, alpha float32) {
	for i := range dst {
		dst[i] *= alpha
	}
}

func dotGeneric(a, b []float32) float32 {
	var s [4]float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s[0] += a[i] * b[i]
		s[1] += a[i+1] * b[i+1]
		s[2] += a[i+2] * b[i+2]
		s[3] += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s[0] += a[i] * b[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func maxGeneric(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

func softmaxRowsGeneric(x []float32, rows, n, ld int) {
	for r := range rows {
		row := x[r*ld : r*ld+n]
		top := maxGeneric(row)
		var sum float32
		for i, v := range row {
			e := float32(math.Exp(float64(v - top)))
			row[i] = e
			sum += e
		}
		scaleGeneric(row, 1/sum)
	}
}

func layerNormRowsGeneric(dst []float32, ldd int, x []float32, ldx, rows, d int, gamma, beta []float32, eps float32,
	mean, rstd []float32) {
	for r := range rows {
		in, out := x[r*ldx:r*ldx+d], dst[r*ldd:r*ldd+d]
		var sum, sq float64
		for _, v := range in {
			sum += float64(v)
		}
		mu := sum / float64(d)
		for _, v := range in {
			sq += (float64(v) - mu) * (float64(v) - mu)
		}
		inv := 1 / math.Sqrt(sq/float64(d)+float64(eps))
		for i, v := range in {
			out[i] = float32((float64(v)-mu)*inv)*gamma[i] + beta[i]
		}
		if mean != nil {
			mean[r] = float32(mu)
		}
		if rstd != nil {
			rstd[r] = float32(inv)
		}
	}
}

func layerNormGradRowsGeneric(dx, dy, x []float32, rows, d int, gamma, mean, rstd, dgamma, dbeta []float32) {
	for r := range rows {
		out, up, in := dx[r*d:r*d+d], dy[r*d:r*d+d], x[r*d:r*d+d]
		mu, inv := mean[r], rstd[r]
		var sg, sgx float32
		for i, v := range in {
			xh, g := (v-mu)*inv, up[i]*gamma[i]
			sg += g
			sgx += g * xh
			if dgamma != nil {
				dgamma[i] += up[i] * xh
			}
			if dbeta != nil {
				dbeta[i] += up[i]
			}
		}
		sg /= float32(d)
		sgx /= float32(d)
		for i, v := range in {
			out[i] = inv * (up[i]*gamma[i] - sg - (v-mu)*inv*sgx)
		}
	}
}

// softmaxGradRowsGeneric turns dp (the gradient of the probabilities) into the
// gradient of the scaled scores, in place: dp = p·(dp − Σ p·dp)·scale.
func softmaxGradRowsGeneric(dp []float32, ldd int, p []float32, ldp, rows, n int, scale float32) {
	for r := range rows {
		d, q := dp[r*ldd:r*ldd+n], p[r*ldp:r*ldp+n]
		var s float32
		for i, v := range q {
			s += v * d[i]
		}
		for i, v := range q {
			d[i] = v * (d[i] - s) * scale
		}
	}
}
