package kernel

// layRows rounds rows of A, still as float32, zeros up to whole steps and whole tiles.
func layRows(e *halfEngine, a []float32, lda, m int, b *Half, s *HalfScratch) {
	kp := b.steps * halfStep
	rows := grow(&s.rows, roundUp(m, e.rows)*kp)
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
	if size := roundUp(m, 32) * b.steps * halfStep; cap(s.tiles) < size {
		s.tiles = alignedHalf(size)
	} else {
		s.tiles = s.tiles[:size]
	}
	kp := b.steps * halfStep
	for r := 0; r < roundUp(m, 32); r += 16 {
		src, ld := a, lda
		if r+16 <= m && b.k == kp {
			src = a[r*lda:]
		} else {
			rows := grow(&s.rows, 16*kp)
			clear(rows)
			for q := r; q < min(m, r+16); q++ {
				copy(rows[(q-r)*kp:][:b.k], a[q*lda:])
			}
			src, ld = rows, kp
		}
		packRows16(s.tiles[r/32*b.steps*panelStep+r%32/16*halfTile:], src, ld, b.steps)
	}
}
