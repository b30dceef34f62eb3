package jpegrgb

import "errors"

// lookBits is the length of the codes that are looked up in one step.
const lookBits = 9

// huffman is a code table (T.81, annex F.2.2.3).
type huffman struct {
	counts  [16]uint8 // codes of each length, from 1 bit
	values  []uint8
	derived bool

	look [1 << lookBits]uint16 // length<<8 | value, 0 where the code is longer
	last [17]int32             // largest code of each length, -1 without one
	base [17]int32             // a code minus its index among the values
}

func newHuffman(counts [16]uint8, values []uint8) *huffman {
	return &huffman{counts: counts, values: values}
}

var errTable = errors.New("bad Huffman table")

// derive works out the codes. They must fit their lengths, with no code of ones
// alone; a DC table has the symbols 0 to 15.
func (t *huffman) derive(dc bool) error {
	if dc {
		for _, v := range t.values {
			if v > 15 {
				return errTable
			}
		}
	}
	if t.derived {
		return nil
	}
	t.derived = true
	code, k := int32(0), int32(0)
	for l := 1; l <= 16; l++ {
		n := int32(t.counts[l-1])
		if n > 0 && code+n >= 1<<l {
			return errTable
		}
		t.base[l], t.last[l] = code-k, code+n-1
		if n == 0 {
			t.last[l] = -1
		}
		for range n {
			if l <= lookBits {
				e := uint16(l)<<8 | uint16(t.values[k])
				at := code << (lookBits - l)
				for i := range int32(1) << (lookBits - l) {
					t.look[at+i] = e
				}
			}
			code, k = code+1, k+1
		}
		code <<= 1
	}
	return nil
}
