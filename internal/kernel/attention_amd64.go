package kernel

// tileGEMM sets C = A·B for operands in cache, n a multiple of 8 (see
// tileGEMMGeneric).
func tileGEMM(c []float32, ldc int, a []float32, ra, ca int, b []float32, ldb, m, n, k int) {
	if vecLevel == vecPortable {
		tileGEMMGeneric(c, ldc, a, ra, ca, b, ldb, m, n, k)
		return
	}
	// The assembly checks nothing: these are its farthest elements.
	_, _, _ = c[(m-1)*ldc+n-1], a[(m-1)*ra+(k-1)*ca], b[(k-1)*ldb+n-1]
	wide := vecLevel == vecAVX512
	for i := 0; i < m; i += 6 {
		ci, ai, b0 := &c[i*ldc], &a[i*ra], &b[0]
		switch rows := min(6, m-i); {
		case wide:
			tileWide(rows, ci, ldc, ai, ra, ca, b0, ldb, n, k)
		case rows == 6:
			tile6AVX2(ci, ldc, ai, ra, ca, b0, ldb, n, k)
		case rows == 5:
			tile5AVX2(ci, ldc, ai, ra, ca, b0, ldb, n, k)
		case rows == 4:
			tile4AVX2(ci, ldc, ai, ra, ca, b0, ldb, n, k)
		case rows == 3:
			tile3AVX2(ci, ldc, ai, ra, ca, b0, ldb, n, k)
		case rows == 2:
			tile2AVX2(ci, ldc, ai, ra, ca, b0, ldb, n, k)
		default:
			tile1AVX2(ci, ldc, ai, ra, ca, b0, ldb, n, k)
		}
	}
}

func tileWide(rows int, c *float32, ldc int, a *float32, ra, ca int, b *float32, ldb, n, k int) {
	switch rows {
	case 6:
		tile6AVX512(c, ldc, a, ra, ca, b, ldb, n, k)
	case 5:
		tile5AVX512(c, ldc, a, ra, ca, b, ldb, n, k)
	case 4:
		tile4AVX512(c, ldc, a, ra, ca, b, ldb, n, k)
	case 3:
		tile3AVX512(c, ldc, a, ra, ca, b, ldb, n, k)
	case 2:
		tile2AVX512(c, ldc, a, ra, ca, b, ldb, n, k)
	default:
		tile1AVX512(c, ldc, a, ra, ca, b, ldb, n, k)
	}
}

// transpose8 writes scale times the transpose of 8 rows of src into dst, whose
// rows begin at multiples of ldt.
func transpose8(dst []float32, ldt int, src []float32, lds, cols int, scale float32) {
	whole := cols &^ 7
	if vecLevel == vecPortable || whole == 0 {
		whole = 0
	} else {
		_, _ = dst[(whole-1)*ldt+7], src[7*lds+whole-1]
		transpose8AVX2(&dst[0], ldt, &src[0], lds, whole, scale)
	}
	if whole < cols {
		transpose8Generic(dst[whole*ldt:], ldt, src[whole:], lds, cols-whole, scale)
	}
}
