package jpegrgb

import "math/rand/v2"

// encoder writes valid JPEG files that ordinary encoders do not: any sampling
// factors, scans in any legal order, tables of odd shapes. It starts from random
// coefficients, so nothing but the decoder decides what the pixels are.
type encoder struct {
	*rand.Rand
	out         []byte
	w, h        int
	progressive bool
	wild        bool // coefficients that no picture has
	standard    bool // leaves the Huffman tables out
	asOne       bool // one name for all components, where a scan has them all
	comps       []*encComponent
	hmax, vmax  int
	restart     int
	begun       bool
}

type encComponent struct {
	id, h, v, tq  int
	bw, bh        int       // blocks of a scan of its own
	stride, lines int       // blocks of an interleaved scan
	coef          [][64]int // in zigzag order
}

// weird returns the file of a seed.
func weird(seed uint64) []byte {
	e := &encoder{Rand: rand.New(rand.NewPCG(seed, 2)), hmax: 1, vmax: 1}
	e.w, e.h = 1+e.IntN(70), 1+e.IntN(70)
	e.progressive = e.IntN(2) == 0
	e.wild = e.IntN(6) == 0
	e.standard = !e.progressive && e.IntN(5) == 0
	e.choose()
	e.fillIn()
	e.out = []byte{0xff, 0xd8}
	parts := e.groups()
	if e.asOne && !e.progressive && len(parts) == 1 {
		for _, c := range e.comps {
			c.id = 'x'
		}
	}
	e.header()
	if e.progressive {
		e.progression()
	} else {
		for _, group := range parts {
			e.scan(group, 0, 63, 0, 0)
		}
	}
	if !e.progressive && e.IntN(8) == 0 {
		return e.out // without EOI
	}
	e.marker(0xd9)
	for range e.IntN(20) {
		e.out = append(e.out, byte(e.Uint32()))
	}
	return e.out
}

// choose draws components and their sampling factors; one has the largest.
func (e *encoder) choose() {
	n := []int{1, 3, 3, 3, 3, 4}[e.IntN(6)]
	ids := [][]int{{1, 2, 3, 4}, {0, 1, 2, 3}, {'R', 'G', 'B', 'K'}, {7, 255, 9, 0}, {'C', 'M', 'Y', 'K'}}[e.IntN(5)]
	e.asOne = e.IntN(8) == 0
	hmax, vmax := 1+e.IntN(4), 1+e.IntN(4)
	full := [2]int{e.IntN(n), e.IntN(n)}
	for i := range n {
		c := &encComponent{id: ids[i], h: e.divisor(hmax), v: e.divisor(vmax), tq: e.IntN(4)}
		if i == full[0] {
			c.h = hmax
		}
		if i == full[1] {
			c.v = vmax
		}
		e.comps = append(e.comps, c)
	}
	e.hmax, e.vmax = hmax, vmax
}

func (e *encoder) divisor(n int) int {
	for {
		if d := 1 + e.IntN(n); n%d == 0 {
			return d
		}
	}
}

// fillIn draws the coefficients.
func (e *encoder) fillIn() {
	size := 100
	if e.wild {
		size = 1023
		if !e.standard && e.IntN(2) == 0 {
			size = 16383
		}
	}
	for _, c := range e.comps {
		c.bw, c.bh = ceil(ceil(e.w*c.h, e.hmax), 8), ceil(ceil(e.h*c.v, e.vmax), 8)
		c.stride, c.lines = ceil(e.w, 8*e.hmax)*c.h, ceil(e.h, 8*e.vmax)*c.v
		c.coef = make([][64]int, c.stride*c.lines)
		dense := []int{0, 2, 10, 70}[e.IntN(4)]
		for i := range c.coef {
			c.coef[i][0] = e.IntN(size) - size/2
			if e.IntN(3) == 0 {
				continue
			}
			for k := 1; k < 64; k++ {
				if e.IntN(100) < dense {
					c.coef[i][k] = (e.IntN(2*size+1) - size) >> e.IntN(10)
				}
			}
		}
	}
}

// groups parts the components into scans of at most ten blocks a unit.
func (e *encoder) groups() (out [][]int) {
	var group []int
	blocks := 0
	for i, c := range e.comps {
		if len(group) > 0 && (blocks+c.h*c.v > maxUnit || e.IntN(4) == 0) {
			out, group, blocks = append(out, group), nil, 0
		}
		group, blocks = append(group, i), blocks+c.h*c.v
	}
	return append(out, group)
}

// progression writes the scans of a progressive file in a random order that
// gives each coefficient its bits from the top. Some files lack the last scans.
func (e *encoder) progression() {
	type step struct{ low, high, before, shift int }
	shift := e.IntN(3)
	for _, group := range e.groups() {
		e.scan(group, 0, 0, 0, shift)
	}
	var todo [][]step // lists to be merged; a list's order stays
	owner := []int{}
	for i := range e.comps {
		var dc []step
		for s := shift; s > 0; s-- {
			dc = append(dc, step{0, 0, s, s - 1})
		}
		todo, owner = append(todo, dc), append(owner, i)
		for low := 1; low < 64; {
			high := min(63, low+e.IntN(1+e.IntN(63)))
			s := e.IntN(4)
			band := []step{{low, high, 0, s}}
			for ; s > 0; s-- {
				band = append(band, step{low, high, s, s - 1})
			}
			todo, owner = append(todo, band), append(owner, i)
			low = high + 1
		}
	}
	left := 0
	for _, list := range todo {
		left += len(list)
	}
	if e.IntN(3) == 0 {
		left = e.IntN(left + 1)
	}
	for left > 0 {
		at := e.IntN(len(todo))
		if len(todo[at]) == 0 {
			continue
		}
		s := todo[at][0]
		todo[at] = todo[at][1:]
		e.scan([]int{owner[at]}, s.low, s.high, s.before, s.shift)
		left--
	}
}

// between writes segments that have no say once the first scan has begun, and a
// quantisation table for components that come later.
func (e *encoder) between() {
	switch e.IntN(8) {
	case 0:
		e.quant(e.IntN(4))
	case 1:
		e.jfif()
	case 2:
		e.segment(0xee, []byte("Adobe\x00\x64\x00\x00\x00\x00\x00"))
	case 3:
		e.segment(0xdc, []byte{byte(e.h >> 8), byte(e.h)})
	}
}

// scan writes one scan with tables of its own.
func (e *encoder) scan(group []int, low, high, before, shift int) {
	if e.begun {
		e.between()
	}
	e.begun = true
	if e.IntN(2) == 0 {
		e.restart = e.IntN(1 + e.IntN(40))
		e.segment(0xdd, []byte{byte(e.restart >> 8), byte(e.restart)})
	}
	head := []byte{byte(len(group))}
	s := &encScan{e: e, low: low, high: high, before: before, shift: shift}
	for _, i := range group {
		c := e.comps[i]
		dc, ac := e.IntN(4), e.IntN(4)
		if e.standard {
			dc, ac = e.IntN(2), e.IntN(2)
		}
		s.comps, s.dc, s.ac = append(s.comps, c), append(s.dc, dc), append(s.ac, ac)
		head = append(head, byte(c.id), byte(dc<<4|ac))
	}
	intervals := s.tokens()
	codes := e.tables(intervals)
	if !e.progressive && e.IntN(8) == 0 {
		high = 0 // some encoders write zeros
	}
	e.segment(0xda, append(head, byte(low), byte(high), byte(before<<4|shift)))
	for i, tokens := range intervals {
		if i > 0 {
			e.marker(0xd0 + byte(i-1)&7)
		}
		e.entropy(tokens, codes)
	}
}
