package kernel

import "unsafe"

// shape takes the memory for k×n, to be multiplied by a kernel.
func (p *Half) shape(e *halfEngine, k, n int) {
	p.k, p.n, p.steps = k, n, (k+halfStep-1)/halfStep
	p.data, p.e = growHalf(p.data, p.panels()*p.steps*panelStep), e
}

// tile is where the tile of a step and of 16 columns from j on begins.
func (p *Half) tile(step, j int) []uint16 {
	return p.data[(j/halfPanel*p.steps+step)*panelStep+j%halfPanel/16*halfTile:][:halfTile]
}

// PackNT packs B = Wᵀ, W row-major n×k with row stride ld.
func (p *Half) PackNT(w []float32, n, k, ld int) { p.pack(activeHalf(), w, n, k, ld) }

// pack is PackNT for a kernel.
func (p *Half) pack(e *halfEngine, w []float32, n, k, ld int) {
	checkMatrix("W", w, ld, n, k)
	p.shape(e, k, n)
	var rows []float32
	for j := 0; j < p.panels()*halfPanel; j += 16 {
		src, lds := rowsOf16(&rows, w, ld, n, k, j)
		tiles := p.data[j/halfPanel*p.steps*panelStep+j%halfPanel/16*halfTile:]
		packColumns(tiles, src, lds, p.steps)
		for q := range p.steps {
			p.pairs(tiles[q*panelStep:])
		}
	}
}

// PackNN packs B itself, row-major k×n with row stride ld.
func (p *Half) PackNN(b []float32, k, n, ld int) {
	checkMatrix("B", b, ld, k, n)
	p.shape(activeHalf(), k, n)
	var edge [halfStep * 16]float32
	for q := range p.steps {
		for j := 0; j < p.panels()*halfPanel; j += 16 {
			src, lds := edge[:], 16
			rows, w := min(halfStep, k-q*halfStep), min(16, n-j)
			switch {
			case w <= 0:
				clear(p.tile(q, j))
				continue
			case rows == halfStep && w == 16:
				src, lds = b[q*halfStep*ld+j:], ld
			default:
				clear(edge[:])
				for r := range rows {
					copy(edge[r*16:][:w], b[(q*halfStep+r)*ld+j:])
				}
			}
			packPairs(p.tile(q, j), src, lds)
			p.pairs(p.tile(q, j))
		}
	}
}

// pairs makes the kernel's pairs of those of adjacent k in a tile.
func (p *Half) pairs(tile []uint16) {
	if !p.e.apart || pairsApartVec(tile) {
		return
	}
	var was [16][16]uint32
	t := pairsOf(tile)
	was = *t
	for i := range 8 {
		for j := range 16 {
			first, second := was[2*i][j], was[2*i+1][j]
			t[i][j] = second&0xffff | first<<16
			t[8+i][j] = second>>16 | first&0xffff0000
		}
	}
}

// packPairs rounds a step's rows of 16 values into a tile.
func packPairs(tile []uint16, src []float32, ld int) {
	if packPairsVec(tile, src, ld) {
		return
	}
	for i := range 16 * halfStep {
		r, c := i/16, i%16
		tile[r/2*halfStep+2*c+r%2] = RoundHalf(src[r*ld+c])
	}
}

// pairsOf looks at a tile as its pairs.
func pairsOf(tile []uint16) *[16][16]uint32 { return (*[16][16]uint32)(unsafe.Pointer(&tile[0])) }

// packColumns rounds 16 rows of steps·32 values into a tile of each step, a pair of
// values after the other, panelStep apart.
func packColumns(tiles []uint16, src []float32, ld, steps int) {
	if !packRowsVec(tiles, src, ld, steps) {
		for r := range 16 {
			for q := range steps {
				t := tiles[q*panelStep+r*halfStep:]
				for i, v := range src[r*ld+q*halfStep:][:halfStep] {
					t[i] = RoundHalf(v)
				}
			}
		}
	}
	for q := range steps {
		t := pairsOf(tiles[q*panelStep:])
		for i := range 16 {
			for j := range i {
				t[i][j], t[j][i] = t[j][i], t[i][j]
			}
		}
	}
}
