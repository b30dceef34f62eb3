package kernel

// Elementwise kernels. All take slices of one length (the first argument's;
// the others may be longer), may work in place, allocate nothing, and give an
// element the same bits wherever it stands in a slice.

// Exp sets dst[i] = e^x[i], within 2 ulp; denormal results included, e^-Inf =
// 0, e^+Inf = +Inf, NaN stays NaN.
func Exp(dst, x []float32) {
	x = x[:len(dst)]
	expVec(dst, x)
}

// GELU sets dst[i] = x[i]·Φ(x[i]), the exact (erf) GELU of Hendrycks and
// Gimpel (arXiv 1606.08415), within 6 ulp of the true value on both sides, so
// that the negative tail keeps its relative accuracy; results below 2^-126 may
// become 0, and GELU(-Inf) = 0.
func GELU(dst, x []float32) {
	x = x[:len(dst)]
	geluVec(dst, x)
}

// GELUGrad sets dst[i] = dy[i]·(Φ(x[i]) + x[i]·φ(x[i])), the derivative of
// GELU times dy. The factor's absolute error is below 3e-7 (it crosses zero
// near x = -0.7518, where no relative bound can hold).
func GELUGrad(dst, x, dy []float32) {
	x, dy = x[:len(dst)], dy[:len(dst)]
	geluGradVec(dst, x, dy)
}

// Add sets dst = a + b.
func Add(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	addVec(dst, a, b)
}

// Sub sets dst = a − b.
func Sub(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	subVec(dst, a, b)
}

// AddTo adds a to dst.
func AddTo(dst, a []float32) {
	addVec(dst, dst, a[:len(dst)])
}

// Axpy adds alpha·x to dst, each element with one rounding where the processor
// has fused multiply-add.
func Axpy(dst []float32, alpha float32, x []float32) {
	x = x[:len(dst)]
	axpyVec(dst, alpha, x)
}

// Scale multiplies dst by alpha.
func Scale(dst []float32, alpha float32) { scaleVec(dst, alpha) }

// Dot returns Σ a[i]·b[i] over the length of a, in a fixed order that depends
// on the length alone.
func Dot(a, b []float32) float32 {
	b = b[:len(a)]
	return dotVec(a, b)
}

// MulRows sets dst = x∘gamma, gamma being repeated over the rows of its length.
func MulRows(dst, x, gamma []float32) {
	d := len(gamma)
	for lo := 0; lo < len(dst); lo += d {
		y, z := dst[lo:min(lo+d, len(dst))], x[lo:min(lo+d, len(dst))]
		for i, v := range z {
			y[i] = v * gamma[i]
		}
	}
}

// MulAdd adds x∘y to dst.
func MulAdd(dst, x, y []float32) {
	for i := range dst {
		dst[i] += x[i] * y[i]
	}
}
