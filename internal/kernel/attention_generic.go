package kernel

// tileGEMMGeneric sets C = A·B for small operands in cache: A(i,p) =
// a[i·ra + p·ca], B row-major with stride ldb, C with stride ldc. Every element
// is one chain of multiply-adds over p, so its bits depend on its row and
// column alone.
func tileGEMMGeneric(c []float32, ldc int, a []float32, ra, ca int, b []float32, ldb, m, n, k int) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		clear(row)
		for p := range k {
			axpyGeneric(row, a[i*ra+p*ca], b[p*ldb:p*ldb+n])
		}
	}
}

// transposeScaledGeneric writes scale·srcᵀ (cols×ldt) and zeroes the columns
// from rows to ldt.
func transposeScaledGeneric(dst []float32, ldt int, src []float32, lds, rows, cols int, scale float32) {
	for c := range cols {
		row := dst[c*ldt : (c+1)*ldt]
		for r := range rows {
			row[r] = scale * src[r*lds+c]
		}
		clear(row[rows:])
	}
}
