package kernel

// Packed is a matrix B (k×n) laid out for C = A·B: in blocks of k, within each
// in panels of as many columns as a tile has, within each row by row, so that a
// micro-kernel reads it as one stream. The last panel is filled up with zeros.
//
// Packing again reuses the storage if its capacity suffices. The layout is the
// selected engine's, and products with it run on that engine even if another is
// selected later. The zero value is an empty matrix.
type Packed struct {
	e     *engine
	k, n  int
	kc    int // length of the blocks of k
	width int // n in whole panels
	data  []float32
}

// K is the number of rows of B.
func (p *Packed) Rows() int { return p.k }

// N is the number of columns of B.
func (p *Packed) Cols() int { return p.n }

// Bytes is the storage held.
func (p *Packed) Bytes() int { return 4 * cap(p.data) }

// PackNT packs B = Wᵀ, W row-major n×k with row stride ld: a linear layer's
// weight, whose product is x·Wᵀ.
func (p *Packed) PackNT(w []float32, n, k, ld int) {
	checkMatrix("W", w, ld, n, k)
	p.packNT(active(), w, n, k, ld)
}

func (p *Packed) packNT(e *engine, w []float32, n, k, ld int) {
	p.shape(e, k, n)
	if e.sgemm != nil {
		transpose(p.data, n, w, ld, n, k)
		return
	}
	p.eachPanel(func(dst []float32, k0, kp, j, w1 int) {
		packTransposed(dst, p.e.nr, w[j*ld+k0:], ld, w1, kp)
	})
}

// PackNN packs B itself, row-major k×n with row stride ld.
func (p *Packed) PackNN(b []float32, k, n, ld int) {
	checkMatrix("B", b, ld, k, n)
	p.packNN(active(), b, k, n, ld)
}

func (p *Packed) packNN(e *engine, b []float32, k, n, ld int) {
	p.shape(e, k, n)
	if e.sgemm != nil {
		for i := range k {
			copy(p.data[i*n:][:n], b[i*ld:])
		}
		return
	}
	p.eachPanel(func(dst []float32, k0, kp, j, w int) {
		packRows(dst, p.e.nr, b[k0*ld+j:], ld, w, kp)
	})
}

// shape takes the layout of e for k×n.
func (p *Packed) shape(e *engine, k, n int) {
	p.e, p.k, p.n = e, k, n
	if e.sgemm != nil {
		p.kc, p.width = k, n
	} else {
		p.kc, p.width = p.e.kBlock(k), roundUp(n, p.e.nr)
	}
	p.data = Grow(&p.data, k*p.width)
}

// panel is the panel of B of kp rows from k0 and of the columns from j.
func (p *Packed) panel(k0, kp, j int) []float32 {
	return p.data[k0*p.width+j*kp:][:p.e.nr*kp]
}

// eachPanel calls f with every panel, its place and its width in B.
func (p *Packed) eachPanel(f func(dst []float32, k0, kp, j, w int)) {
	for k0 := 0; k0 < p.k; k0 += p.kc {
		kp := min(p.kc, p.k-k0)
		for j := 0; j < p.n; j += p.e.nr {
			f(p.panel(k0, kp, j), k0, kp, j, min(p.e.nr, p.n-j))
		}
	}
}

// packRows copies k rows of w columns into a panel nr wide.
func packRows(dst []float32, nr int, b []float32, ld, w, k int) {
	if w == nr && copyStrip(dst, b, ld, nr, k) {
		return
	}
	for i := range k {
		row := dst[i*nr:][:nr]
		clear(row[copy(row, b[i*ld:][:w]):])
	}
}

// packTransposed writes the w rows of k values of x as the columns of a panel
// nr wide.
func packTransposed(dst []float32, nr int, x []float32, ld, w, k int) {
	transpose(dst, nr, x, ld, w, k)
	if w == nr {
		return
	}
	for i := range k {
		clear(dst[i*nr+w : (i+1)*nr])
	}
}

// transpose writes the rows×cols matrix x as columns of dst.
func transpose(dst []float32, ldd int, x []float32, ldx, rows, cols int) {
	fast, left := transposeBlock(dst, ldd, x, ldx, rows, cols)
	for i := range rows {
		first := left
		if i >= fast {
			first = 0
		}
		for j, v := range x[i*ldx:][:cols][first:] {
			dst[(first+j)*ldd+i] = v
		}
	}
}
