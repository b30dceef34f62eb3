package kernel

import "fmt"

// Epilogue says what happens to a product before it is stored. In order:
//
//	v = Scale·(A·B) (+ C if Accumulate) + Bias
//	Pre = v
//	C = GELU(v) + Residual
//
// Everything is optional; the zero value (or a nil pointer) stores A·B.
type Epilogue struct {
	// Accumulate adds to what C holds instead of replacing it.
	Accumulate bool
	// Bias is added to every row; length n, or nil.
	Bias []float32
	// GELU applies the exact (erf) GELU after the bias.
	GELU bool
	// Pre, if not nil, also receives the value before GELU, m×n with row
	// stride LdPre; backpropagation needs it. It must not overlap C.
	Pre   []float32
	LdPre int
	// Residual, if not nil, is added last; m×n with row stride LdRes. It must
	// not overlap C.
	Residual []float32
	LdRes    int
	// Scale multiplies the product; 0 means 1.
	Scale float32
}

// Scratch is the workspace of one goroutine. The zero value is ready; it grows
// to what the shapes need and then stays.
type Scratch struct {
	args  tileArgs
	edge  [maxTile]float32 // a tile that does not fit into C
	a     []float32        // packed rows of Aᵀ (GemmTN), or padded rows (BLAS)
	c     []float32        // product of a row chunk (BLAS)
	right Packed           // packed block of B (GemmTN)
}

// Gemm computes C = A·B with the epilogue ep (nil for none): A is m×k row-major
// with row stride lda, C is m×n with row stride ldc, k and n are those of b.
// It runs on the calling goroutine and panics if a slice is too short for its
// shape. C must not overlap A.
func Gemm(c []float32, ldc int, a []float32, lda int, m int, b *Packed, ep *Epilogue, s *Scratch) {
	if m == 0 || b.n == 0 {
		return
	}
	if ep == nil {
		ep = &Epilogue{}
	}
	ep.check(c, ldc, a, lda, m, b.n, b.k)
	if b.e.sgemm != nil {
		gemmBLAS(c, ldc, a, lda, m, b, ep, s)
		return
	}
	gemmTiled(c, ldc, a, lda, m, b, ep, s)
}

// GemmTN computes C = Aᵀ·B, or C += Aᵀ·B with accumulate: A is k×m and B k×n,
// both row-major, C is m×n. It is the weight gradient Eᵀ·x summed over k rows.
func GemmTN(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, accumulate bool,
	s *Scratch) {
	if m == 0 || n == 0 {
		return
	}
	checkMatrix("A", a, lda, k, m)
	checkMatrix("B", b, ldb, k, n)
	checkMatrix("C", c, ldc, m, n)
	if e := active(); e.sgemm != nil {
		gemmTNBLAS(c, ldc, a, lda, b, ldb, m, n, k, accumulate, s)
	} else {
		gemmTNTiled(c, ldc, a, lda, b, ldb, m, n, k, accumulate, s)
	}
}

// check panics unless the operands of a product m×n over k, and what the epilogue
// names, are large enough.
func (ep *Epilogue) check(c []float32, ldc int, a []float32, lda, m, n, k int) {
	checkMatrix("A", a, lda, m, k)
	checkMatrix("C", c, ldc, m, n)
	if ep.Bias != nil && len(ep.Bias) < n {
		panic(fmt.Sprintf("kernel: bias of %d for %d columns", len(ep.Bias), n))
	}
	if ep.Pre != nil {
		checkMatrix("Pre", ep.Pre, ep.LdPre, m, n)
	}
	if ep.Residual != nil {
		checkMatrix("Residual", ep.Residual, ep.LdRes, m, n)
	}
}

// checkMatrix panics unless x holds rows×cols values at row stride ld: the
// micro-kernels write where they are told, so this is the only fence.
func checkMatrix(name string, x []float32, ld, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols || len(x) < (rows-1)*ld+cols {
		panic(fmt.Sprintf("kernel: %s holds %d values, too few for %dx%d at stride %d", name, len(x), rows, cols, ld))
	}
}
