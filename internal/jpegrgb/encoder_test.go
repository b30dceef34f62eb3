package jpegrgb

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

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
	comps       []*encComponent
	hmax, vmax  int
	restart     int
}

type encComponent struct {
	id, h, v, tq  int
	bw, bh        int       // blocks of a scan of its own
	stride, lines int       // blocks of an interleaved scan
	coef          [][64]int // in zigzag order
}

// token is a Huffman symbol and the bits behind it.
type token struct {
	class, table int
	symbol       byte
	n            int
	value        uint32
	raw          bool // bits alone
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
	e.header()
	if e.progressive {
		e.progression()
	} else {
		for _, group := range e.groups() {
			e.scan(group, 0, 63, 0, 0)
		}
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

// marker starts a marker, now and then behind stray and fill bytes.
func (e *encoder) marker(m byte) {
	if e.IntN(10) == 0 && m != 0xd8 {
		e.out = append(e.out, []string{"stray", "\x00", "\xff\x00\xff\x00"}[e.IntN(3)]...)
	}
	for range 1 + max(0, e.IntN(12)-9) {
		e.out = append(e.out, 0xff)
	}
	e.out = append(e.out, m)
}

func (e *encoder) segment(m byte, body []byte) {
	e.marker(m)
	e.out = binary.BigEndian.AppendUint16(e.out, uint16(2+len(body)))
	e.out = append(e.out, body...)
}

// header writes what comes before the first scan.
func (e *encoder) header() {
	if e.IntN(2) == 0 {
		e.segment(0xe0, []byte("JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"))
	}
	late := e.IntN(2) == 0
	adobe := func() {
		if len(e.comps) == 4 || e.IntN(2) == 0 {
			e.segment(0xee, []byte{'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, byte(e.IntN(4))})
		}
	}
	if !late {
		adobe()
	}
	if e.IntN(4) == 0 {
		e.segment(0xfe, []byte("\xff\xd8 comment \xff\xd9"))
	}
	for id := range 4 {
		e.quant(id)
	}
	frame := []byte{8, byte(e.h >> 8), byte(e.h), byte(e.w >> 8), byte(e.w), byte(len(e.comps))}
	for _, c := range e.comps {
		frame = append(frame, byte(c.id), byte(c.h<<4|c.v), byte(c.tq))
	}
	kind := byte(0xc0 + e.IntN(2))
	if e.progressive {
		kind = 0xc2
	}
	e.segment(kind, frame)
	if late {
		adobe()
	}
}

// quant writes a quantisation table of 8 or 16 bits.
func (e *encoder) quant(id int) {
	wide, most := byte(e.IntN(2)), 40
	if e.wild && wide == 1 {
		most = 65535
	}
	body := []byte{wide<<4 | byte(id)}
	for range 64 {
		q := 1 + e.IntN(1+e.IntN(most))
		if wide == 1 {
			body = append(body, byte(q>>8))
		}
		body = append(body, byte(q))
	}
	e.segment(0xdb, body)
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

// scan writes one scan with tables of its own.
func (e *encoder) scan(group []int, low, high, before, shift int) {
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
	e.segment(0xda, append(head, byte(low), byte(high), byte(before<<4|shift)))
	for i, tokens := range intervals {
		if i > 0 {
			e.marker(0xd0 + byte(i-1)&7)
		}
		e.entropy(tokens, codes)
	}
}

type codeKey struct {
	class, table int
	symbol       byte
}

type code struct {
	n     int
	value uint32
}

// tables writes a table for each that the tokens use, with random lengths, and
// returns the codes.
func (e *encoder) tables(intervals [][]token) map[codeKey]code {
	used := map[[2]int]map[byte]bool{}
	for _, tokens := range intervals {
		for _, t := range tokens {
			if t.raw {
				continue
			}
			key := [2]int{t.class, t.table}
			if used[key] == nil {
				used[key] = map[byte]bool{}
			}
			used[key][t.symbol] = true
		}
	}
	codes := map[codeKey]code{}
	for class := range 2 {
		for table := range 4 {
			symbols := []byte{}
			for v := range 256 {
				if used[[2]int{class, table}][byte(v)] {
					symbols = append(symbols, byte(v))
				}
			}
			if class == 0 || e.IntN(2) == 0 {
				e.Shuffle(len(symbols), func(i, j int) { symbols[i], symbols[j] = symbols[j], symbols[i] })
			}
			counts := e.lengths(max(1, len(symbols)))
			if len(symbols) == 0 {
				symbols = []byte{0}
			}
			if e.standard {
				if table > 1 {
					continue
				}
				counts, symbols = standard[class][table].counts, []byte(standard[class][table].values)
			} else {
				e.segment(0xc4, append(append([]byte{byte(class<<4 | table)}, counts[:]...), symbols...))
			}
			value, k := uint32(0), 0
			for l, n := range counts {
				for range n {
					codes[codeKey{class, table, symbols[k]}] = code{l + 1, value}
					value, k = value+1, k+1
				}
				value <<= 1
			}
		}
	}
	return codes
}

// lengths draws the number of codes of each length for n symbols, by splitting
// leaves of a tree and taking off the last, whose code would be ones.
func (e *encoder) lengths(n int) (counts [16]byte) {
	leaves := []int{1, 1}
	for len(leaves) < n+1 {
		i := e.IntN(len(leaves))
		if e.IntN(3) == 0 { // long codes too
			i = len(leaves) - 1
		}
		if leaves[i] < 16 {
			leaves[i]++
			leaves = append(leaves, leaves[i])
		}
	}
	deepest := 0
	for _, l := range leaves {
		counts[l-1]++
		deepest = max(deepest, l)
	}
	counts[deepest-1]--
	return counts
}

// entropy writes tokens as bits, padded with ones and stuffed.
func (e *encoder) entropy(tokens []token, codes map[codeKey]code) {
	acc, n := uint64(0), 0
	put := func(v uint32, k int) {
		acc, n = acc<<k|uint64(v), n+k
		for n >= 8 {
			b := byte(acc >> (n - 8))
			if e.out = append(e.out, b); b == 0xff {
				e.out = append(e.out, 0)
			}
			n -= 8
		}
	}
	for _, t := range tokens {
		if !t.raw {
			c, ok := codes[codeKey{t.class, t.table, t.symbol}]
			if !ok {
				panic("a symbol without a code")
			}
			put(c.value, c.n)
		}
		put(t.value, t.n)
	}
	if n > 0 {
		put(1<<(8-n)-1, 8-n)
	}
}

// size is the number of bits of a value, and those bits (T.81, F.1.2.1).
func size(v int) (n int, value uint32) {
	if v < 0 {
		n = bits.Len(uint(-v))
		return n, uint32(v-1) & (1<<n - 1)
	}
	return bits.Len(uint(v)), uint32(v)
}
