package jpegrgb

import "math/bits"

// token is a Huffman symbol and the bits behind it.
type token struct {
	class, table int
	symbol       byte
	n            int
	value        uint32
	raw          bool // bits alone
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
