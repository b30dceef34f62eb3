package kernel

// gemmTiled runs Gemm on micro-kernels. Loops, outermost first: blocks of rows
// whose A stays in the second-level cache, blocks of columns whose C does too
// until its epilogue is done, blocks of k, panels of B (each in the first-level
// cache while all rows of the block pass over it), tiles.
func gemmTiled(c []float32, ldc int, a []float32, lda, m int, b *Packed, ep *Epilogue, s *Scratch) {
	e := b.e
	scale := ep.Scale
	if scale == 0 {
		scale = 1
	}
	// The product is gathered in Pre if there is one, and C follows from it.
	sum := output{c: c, ldc: ldc}
	if ep.Pre != nil {
		sum.c, sum.ldc = ep.Pre, ep.LdPre
	}
	first := sum // what the first block of k adds to
	lateResidual := ep.Residual
	switch {
	case ep.Accumulate:
		first.d, first.ldd = c, ldc
	case ep.Residual != nil && !ep.GELU && ep.Pre == nil:
		first.d, first.ldd = ep.Residual, ep.LdRes
		lateResidual = nil
	}
	next := sum
	next.d, next.ldd = sum.c, sum.ldc

	rows := e.rowBlock(m)
	for i := 0; i < m; i += rows {
		mi := min(rows, m-i)
		for j := 0; j < b.n; j += e.nc {
			nj := min(e.nc, b.n-j)
			for p := 0; p < b.k; p += b.kc {
				kp := min(b.kc, b.k-p)
				out := next
				if p == 0 {
					out = first
				}
				if p+kp == b.k {
					out.bias = ep.Bias
				}
				x := left{a: a[i*lda+p:], rowStride: lda, kStride: 1, tileStep: e.mr * lda}
				for q := j; q < j+nj; q += e.nr {
					e.panel(out.at(i, q), x, mi, b.panel(p, kp, q), min(e.nr, b.n-q), kp, scale, s)
				}
			}
			finish(c[i*ldc+j:], ldc, sum.at(i, j), mi, nj, ep.GELU, lateResidual, ep.LdRes, i, j)
		}
	}
}

// finish turns the gathered sums of an m×n block into C.
func finish(c []float32, ldc int, sum output, m, n int, gelu bool, residual []float32, ldr, i0, j0 int) {
	if !gelu && residual == nil && &sum.c[0] == &c[0] {
		return
	}
	for i := range m {
		dst, src := c[i*ldc:][:n], sum.c[i*sum.ldc:][:n]
		if gelu {
			GELU(dst, src)
		} else if &dst[0] != &src[0] {
			copy(dst, src)
		}
		if residual != nil {
			AddTo(dst, residual[(i0+i)*ldr+j0:][:n])
		}
	}
}

// gemmTNTiled runs GemmTN on micro-kernels. k may be far longer than m and n, so
// it is the outer loop and only one block of B and of A is packed at a time.
func gemmTNTiled(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, accumulate bool,
	s *Scratch) {
	e := active()
	kc := e.kBlock(k)
	rows := e.rowBlock(m)
	for p := 0; p < k; p += kc {
		kp := min(kc, k-p)
		s.right.packNN(e, b[p*ldb:], kp, n, ldb)
		out := output{c: c, ldc: ldc}
		if p > 0 || accumulate {
			out.d, out.ldd = c, ldc
		}
		for i := 0; i < m; i += rows {
			mi := min(rows, m-i)
			s.a = Grow(&s.a, roundUp(mi, e.mr)*kp+maxTile)
			packLeft(s.a, a[p*lda+i:], lda, mi, kp, e.mr)
			x := left{a: s.a, rowStride: 1, kStride: e.mr, tileStep: e.mr * kp}
			for q := 0; q < n; q += e.nr {
				e.panelTN(out.at(i, q), x, mi, s.right.panel(0, kp, q), min(e.nr, n-q), kp, s)
			}
		}
	}
}

// panelTN is panel for a packed A, whose panels of mr rows a tile must not
// straddle: the remainder is a tile of its own.
func (e *engine) panelTN(out output, a left, m int, b []float32, w, k int, s *Scratch) {
	full := m - m%e.mr
	if full > 0 {
		e.panel(out, a, full, b, w, k, 1, s)
	}
	if full < m {
		a.a = a.a[full/e.mr*a.tileStep:]
		e.panel(out.at(full, 0), a, m-full, b, w, k, 1, s)
	}
}

// packLeft lays the m columns of k×m A out in panels of mr: panel i holds for
// each step of k the mr values of its columns.
func packLeft(dst, a []float32, lda, m, k, mr int) {
	for i := 0; i < m; i += mr {
		w := min(mr, m-i)
		if w == mr && copyStrip(dst[i*k:], a[i:], lda, mr, k) {
			continue
		}
		for p := range k {
			copy(dst[i*k+p*mr:][:w], a[p*lda+i:])
		}
	}
}

// rowBlock is the height of the row blocks for m rows: at most mc, evened out,
// in whole tiles.
func (e *engine) rowBlock(m int) int {
	return roundUp((m+(m+e.mc-1)/e.mc-1)/((m+e.mc-1)/e.mc), e.mr)
}

// kBlock is the length of the blocks of k, which may depend on k alone.
func (e *engine) kBlock(k int) int {
	blocks := (k + e.kc - 1) / e.kc
	return roundUp((k+blocks-1)/max(blocks, 1), 4)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
