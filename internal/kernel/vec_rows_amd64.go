package kernel

// softmaxPadded replaces each of the rows of length n by its softmax, with the
// row's maximum subtracted first. Elements 88 or more below the maximum become 0; a
// row with a NaN or +Inf, or of -Inf alone, becomes NaN. The rows' memory goes on to
// a multiple of 8, and what lies there may be written.
func softmaxPadded(x []float32, rows, n, ld int) {
	switch vecLevel {
	case vecAVX512:
		softmaxPaddedAVX512(&x[0], rows, n, ld)
	case vecAVX2:
		softmaxPaddedAVX2(&x[0], rows, n, ld)
	default:
		softmaxRowsGeneric(x, rows, n, ld)
	}
}

// first is the address of a slice's first element, nil for an empty one.
func first(x []float32) *float32 {
	if len(x) == 0 {
		return nil
	}
	return &x[0]
}

func layerNormRows(dst []float32, ldd int, x []float32, ldx, rows, d int, gamma, beta []float32, eps float32, mean,
	rstd []float32) {
	invd := 1 / float32(d)
	switch vecLevel {
	case vecAVX512:
		layerNormRowsAVX512(&dst[0], ldd, &x[0], ldx, rows, d, &gamma[0], &beta[0], eps, invd, first(mean), first(rstd))
	case vecAVX2:
		layerNormRowsAVX2(&dst[0], ldd, &x[0], ldx, rows, d, &gamma[0], &beta[0], eps, invd, first(mean), first(rstd))
	default:
		layerNormRowsGeneric(dst, ldd, x, ldx, rows, d, gamma, beta, eps, mean, rstd)
	}
}

func layerNormGradRows(dx, dy, x []float32, rows, d int, gamma, mean, rstd, dgamma, dbeta []float32) {
	invd := 1 / float32(d)
	if vecLevel == vecPortable || (dgamma == nil) != (dbeta == nil) {
		layerNormGradRowsGeneric(dx, dy, x, rows, d, gamma, mean, rstd, dgamma, dbeta)
		return
	}
	up, in, to, ga, mu, rs, dg, db := &dy[0], &x[0], &dx[0], &gamma[0], &mean[0], &rstd[0], first(dgamma), first(dbeta)
	switch {
	case vecLevel == vecAVX512 && dg != nil:
		layerNormGradAllRowsAVX512(to, up, in, rows, d, ga, mu, rs, dg, db, invd)
	case vecLevel == vecAVX512:
		layerNormGradRowsAVX512(to, up, in, rows, d, ga, mu, rs, nil, nil, invd)
	case dg != nil:
		layerNormGradAllRowsAVX2(to, up, in, rows, d, ga, mu, rs, dg, db, invd)
	default:
		layerNormGradRowsAVX2(to, up, in, rows, d, ga, mu, rs, nil, nil, invd)
	}
}

func softmaxGradRows(dp []float32, ldd int, p []float32, ldp, rows, n int, scale float32) {
	switch vecLevel {
	case vecAVX512:
		softmaxGradRowsAVX512(&dp[0], ldd, &p[0], ldp, rows, n, scale)
	case vecAVX2:
		softmaxGradRowsAVX2(&dp[0], ldd, &p[0], ldp, rows, n, scale)
	default:
		softmaxGradRowsGeneric(dp, ldd, p, ldp, rows, n, scale)
	}
}
