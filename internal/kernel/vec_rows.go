package kernel

// Row kernels: matrices are row-major, row r of x begins at x[r·ld]. The
// result of a row depends on that row alone, not on how many rows are given.

// LayerNormRows writes (x − mean)·rstd·gamma + beta of each row of length d,
// with mean and rstd = 1/√(variance + eps) of that row (the biased variance,
// taken about the mean in a second pass). mean and rstd receive one number a
// row for LayerNormGradRows and may be nil.
func LayerNormRows(dst []float32, ldd int, x []float32, ldx, rows, d int, gamma, beta []float32, eps float32, mean,
	rstd []float32) {
	if rows == 0 || d == 0 {
		return
	}
	_, _ = dst[(rows-1)*ldd+d-1], x[(rows-1)*ldx+d-1]
	gamma, beta = gamma[:d], beta[:d]
	if mean != nil {
		mean = mean[:rows]
	}
	if rstd != nil {
		rstd = rstd[:rows]
	}
	layerNormRows(dst, ldd, x, ldx, rows, d, gamma, beta, eps, mean, rstd)
}

// LayerNormGradRows backpropagates LayerNormRows over contiguous rows: with
// x̂ = (x − mean)·rstd and g = dy·gamma,
//
//	dx = rstd·(g − avg(g) − x̂·avg(g·x̂)),  dgamma += Σ_rows dy·x̂,  dbeta += Σ_rows dy.
//
// dx is overwritten; dgamma and dbeta may be nil together or apart.
func LayerNormGradRows(dx []float32, dy, x []float32, rows, d int, gamma, mean, rstd, dgamma, dbeta []float32) {
	if rows == 0 || d == 0 {
		return
	}
	n := rows * d
	dx, dy, x, gamma, mean, rstd = dx[:n], dy[:n], x[:n], gamma[:d], mean[:rows], rstd[:rows]
	if dgamma != nil {
		dgamma = dgamma[:d]
	}
	if dbeta != nil {
		dbeta = dbeta[:d]
	}
	layerNormGradRows(dx, dy, x, rows, d, gamma, mean, rstd, dgamma, dbeta)
}
