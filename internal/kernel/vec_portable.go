//go:build !amd64

package kernel

func expVec(dst, x []float32)                           { expGeneric(dst, x) }
func geluVec(dst, x []float32)                          { geluGeneric(dst, x) }
func geluGradVec(dst, x, dy []float32)                  { geluGradGeneric(dst, x, dy) }
func addVec(dst, a, b []float32)                        { addGeneric(dst, a, b) }
func subVec(dst, a, b []float32)                        { subGeneric(dst, a, b) }
func axpyVec(dst []float32, alpha float32, x []float32) { axpyGeneric(dst, alpha, x) }
func scaleVec(dst []float32, alpha float32)             { scaleGeneric(dst, alpha) }
func dotVec(a, b []float32) float32                     { return dotGeneric(a, b) }
func softmaxPadded(x []float32, rows, n, ld int)        { softmaxRowsGeneric(x, rows, n, ld) }

func layerNormRows(dst []float32, ldd int, x []float32, ldx, rows, d int, gamma, beta []float32, eps float32, mean,
	rstd []float32) {
	layerNormRowsGeneric(dst, ldd, x, ldx, rows, d, gamma, beta, eps, mean, rstd)
}

func layerNormGradRows(dx, dy, x []float32, rows, d int, gamma, mean, rstd, dgamma, dbeta []float32) {
	layerNormGradRowsGeneric(dx, dy, x, rows, d, gamma, mean, rstd, dgamma, dbeta)
}

func softmaxGradRows(dp []float32, ldd int, p []float32, ldp, rows, n int, scale float32) {
	softmaxGradRowsGeneric(dp, ldd, p, ldp, rows, n, scale)
}

func tileGEMM(c []float32, ldc int, a []float32, ra, ca int, b []float32, ldb, m, n, k int) {
	tileGEMMGeneric(c, ldc, a, ra, ca, b, ldb, m, n, k)
}

func transpose8(dst []float32, ldt int, src []float32, lds, cols int, scale float32) {
	transpose8Generic(dst, ldt, src, lds, cols, scale)
}
