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

// transpose8Generic is the portable form of transpose8: dst[c·ldt+r] =
// scale·src[r·lds+c] for 8 rows.
func transpose8Generic(dst []float32, ldt int, src []float32, lds, cols int, scale float32) {
	for c := range cols {
		for r := range 8 {
			dst[c*ldt+r] = scale * src[r*lds+c]
		}
	}
}
