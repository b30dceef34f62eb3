package kernel

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// blasRows is the number of rows a library is asked for at a time, always: the
// last rows are filled up. A library may sum a row differently in its edge tiles
// or for another m; with one m and whole tiles (all known heights divide 48) it
// has less reason to. Whether it then keeps a row's bits is tried (keepsRows).
const blasRows = 48

// gemmBLAS runs Gemm on a library's sgemm.
func gemmBLAS(c []float32, ldc int, a []float32, lda, m int, b *Packed, ep *Epilogue, s *Scratch) {
	s.c = Grow(&s.c, blasRows*b.n)
	scale := ep.Scale
	if scale == 0 {
		scale = 1
	}
	for i := 0; i < m; i += blasRows {
		rows := min(blasRows, m-i)
		x, ldx := a[i*lda:], lda
		if rows < blasRows {
			s.a = Grow(&s.a, blasRows*b.k)
			for r := range rows {
				copy(s.a[r*b.k:][:b.k], x[r*lda:])
			}
			clear(s.a[rows*b.k : blasRows*b.k])
			x, ldx = s.a, b.k
		}
		b.e.sgemm(blasRows, b.n, b.k, x, ldx, b.data, b.n, s.c, b.n)
		for r := range rows {
			finishRow(c[(i+r)*ldc:][:b.n], s.c[r*b.n:][:b.n], scale, ep, i+r)
		}
	}
}

// finishRow applies the epilogue to row i of a product.
func finishRow(dst, sum []float32, scale float32, ep *Epilogue, i int) {
	if scale != 1 {
		Scale(sum, scale)
	}
	if ep.Accumulate {
		AddTo(sum, dst)
	}
	if ep.Bias != nil {
		AddTo(sum, ep.Bias)
	}
	if ep.Pre != nil {
		copy(ep.Pre[i*ep.LdPre:], sum)
	}
	if ep.GELU {
		GELU(dst, sum)
	} else {
		copy(dst, sum)
	}
	if ep.Residual != nil {
		AddTo(dst, ep.Residual[i*ep.LdRes:])
	}
}

// gemmTNBLAS runs GemmTN on a library's sgemm: Aᵀ is written out and multiplied
// by B in place.
func gemmTNBLAS(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, accumulate bool,
	s *Scratch) {
	e := active()
	s.c = Grow(&s.c, blasRows*n)
	s.a = Grow(&s.a, blasRows*k)
	for i := 0; i < m; i += blasRows {
		rows := min(blasRows, m-i)
		transpose(s.a, k, a[i:], lda, k, rows)
		clear(s.a[rows*k : blasRows*k])
		e.sgemm(blasRows, n, k, s.a, k, b, ldb, s.c, n)
		for r := range rows {
			dst := c[(i+r)*ldc:][:n]
			if accumulate {
				AddTo(dst, s.c[r*n:])
			} else {
				copy(dst, s.c[r*n:])
			}
		}
	}
}

// gonumEngine is the pure Go BLAS.
var gonumEngine = &engine{name: "gonum", sgemm: gonumSgemm}

// gonumSgemm stays below the size from which gonum starts goroutines of its own
// (4 blocks of 64×64).
func gonumSgemm(m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	const cols = 3 * 64
	for j := 0; j < n; j += cols {
		gonum.Implementation{}.Sgemm(blas.NoTrans, blas.NoTrans, m, min(cols, n-j), k, 1, a, lda, b[j:], ldb, 0, c[j:], ldc)
	}
}
