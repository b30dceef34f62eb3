package kernel

// layRows rounds rows of A, still as float32, zeros up to whole steps and whole tiles.
func layRows(e *halfEngine, a []float32, lda, m int, b *Half, s *HalfScratch) {
	kp := b.steps * halfStep
	rows := Grow(&s.rows, roundUp(m, e.rows)*kp)
	clear(rows[m*kp:])
	for r := range m {
		row := rows[r*kp : (r+1)*kp]
		clear(row[copy(row, a[r*lda:][:b.k]):])
	}
	roundRows(rows[:m*kp])
}

// roundRows rounds values to bf16 in place; their number is a multiple of 32.
func roundRows(x []float32) {
	if roundRowsVec(x) {
		return
	}
	for i, v := range x {
		x[i] = FromHalf(RoundHalf(v))
	}
}

// layTiles rounds rows of A into tiles: in blocks of 32 rows, in each by steps, in each
// two tiles.
func layTiles(_ *halfEngine, a []float32, lda, m int, b *Half, s *HalfScratch) {
	s.tiles = growHalf(s.tiles, roundUp(m, 32)*b.steps*halfStep)
	for r := 0; r < roundUp(m, 32); r += 16 {
		src, ld := rowsOf16(&s.rows, a, lda, m, b.k, r)
		packRowsVec(s.tiles[r/32*b.steps*panelStep+r%32/16*halfTile:], src, ld, b.steps)
	}
}

// apartOrder is where the values of a step stand when pairs are of even k, then of odd k,
// the first of the two above the second.
var apartOrder = func() (o [halfStep]uint16) {
	for i := range 8 {
		at := uint16(4 * i)
		o[2*i], o[2*i+1], o[16+2*i], o[17+2*i] = at+2, at, at+3, at+1
	}
	return o
}()

// layApart rounds rows of A, their pairs apart, zeros up to whole steps and whole tiles.
func layApart(e *halfEngine, a []float32, lda, m int, b *Half, s *HalfScratch) {
	kp := b.steps * halfStep
	s.tiles = growHalf(s.tiles, roundUp(m, e.rows)*kp)
	clear(s.tiles[m*kp:])
	if b.k == kp {
		roundApart(s.tiles, a, lda, b.steps, m)
		return
	}
	row := Grow(&s.rows, kp)
	clear(row[b.k:])
	for r := range m {
		copy(row[:b.k], a[r*lda:])
		roundApart(s.tiles[r*kp:], row, kp, b.steps, 1)
	}
}

// roundApart rounds rows of so many steps to adjacent ones, pairs apart.
func roundApart(dst []uint16, src []float32, ld, steps, rows int) {
	if roundApartVec(dst, src, ld, steps, rows) {
		return
	}
	for r := range rows {
		for q := range steps {
			at := (r*steps + q) * halfStep
			for i, k := range apartOrder {
				dst[at+i] = RoundHalf(src[r*ld+q*halfStep+int(k)])
			}
		}
	}
}

// rowsOf16 is 16 rows of x from r on, ld values apart, of k values of m rows: where they
// stand, or where some of them or a part of the last step of k is not there a copy that is
// filled up with zeros.
func rowsOf16(room *[]float32, x []float32, ldx, m, k, r int) (src []float32, ld int) {
	kp := roundUp(k, halfStep)
	if r+16 <= m && k == kp {
		return x[r*ldx:], ldx
	}
	rows := Grow(room, 16*kp)
	clear(rows)
	for q := r; q < min(m, r+16); q++ {
		copy(rows[(q-r)*kp:][:k], x[q*ldx:])
	}
	return rows, kp
}
