package jpegrgb

import (
	"encoding/binary"
	"fmt"
)

// bitReader reads entropy-coded bits. Behind the end of a segment it goes on with
// zeros and counts them, so that decoding need not look for the end at every
// bit: short says afterwards whether one of them was used.
type bitReader struct {
	b   []byte
	at  int
	acc uint64 // the next n bits, from the top
	n   int
	pad int  // how many of the bits were invented
	end bool // at points to a marker or behind the file
}

// short says that more bits were taken than the segment has.
func (r *bitReader) short() bool { return r.n < r.pad }

// fill makes n at least 57.
func (r *bitReader) fill() {
	if r.at+8 <= len(r.b) && !r.end {
		v := binary.BigEndian.Uint64(r.b[r.at:])
		const low, high = 0x0101010101010101, 0x8080808080808080
		if u := ^v; (u-low)&^u&high == 0 { // no byte is 0xff
			// Bits below the n that count repeat the next byte, which the
			// next fill puts in the same place.
			r.acc |= v >> r.n
			k := (64 - r.n) >> 3
			r.at += k
			r.n += 8 * k
			return
		}
	}
	r.fillBytes()
}

// fillBytes is fill where 0xff bytes need care: 0xff00 is the data byte 0xff,
// and so are several 0xff before a 0; anything else is a marker.
func (r *bitReader) fillBytes() {
	r.acc = r.acc >> (64 - r.n) << (64 - r.n)
	for r.n <= 56 {
		v := byte(0)
		switch {
		case r.end:
			r.pad += 8
		case r.at >= len(r.b):
			r.end = true
			continue
		case r.b[r.at] != 0xff:
			v = r.b[r.at]
			r.at++
		default:
			k := r.at + 1
			for k < len(r.b) && r.b[k] == 0xff {
				k++
			}
			if k == len(r.b) || r.b[k] != 0 {
				r.end = true
				continue
			}
			v, r.at = 0xff, k+1
		}
		r.acc |= uint64(v) << (56 - r.n)
		r.n += 8
	}
}

// take returns the next n bits, 0 to 16.
func (r *bitReader) take(n int) int32 {
	if r.n < n {
		r.fill()
	}
	v := int32(r.acc >> 32 >> (32 - n))
	r.acc <<= n
	r.n -= n
	return v
}

// bit returns the next bit.
func (r *bitReader) bit() bool {
	if r.n == 0 {
		r.fill()
	}
	v := r.acc >> 63
	r.acc <<= 1
	r.n--
	return v != 0
}

// value returns the number that s bits, 1 to 15, stand for (T.81, F.2.2.1).
func (r *bitReader) value(s int) int32 {
	v := r.take(s)
	if v < 1<<(s-1) {
		v -= 1<<s - 1
	}
	return v
}

// symbol returns the next Huffman symbol, -1 for a code that the table lacks.
func (r *bitReader) symbol(t *huffman) int {
	if r.n < 32 { // room for the bits that follow the code too
		r.fill()
	}
	if e := t.look[r.acc>>(64-lookBits)]; e != 0 {
		n := int(e >> 8)
		r.acc <<= n
		r.n -= n
		return int(e & 255)
	}
	for l := lookBits + 1; l <= 16; l++ {
		if code := int32(r.acc >> (64 - l)); code <= t.last[l] {
			r.acc <<= l
			r.n -= l
			return int(t.values[code-t.base[l]])
		}
	}
	return -1
}

// interval moves behind the restart marker of the given number, which must be
// the next marker.
func (r *bitReader) interval(number int) error {
	marker, at := nextMarker(r.b, r.at)
	*r = bitReader{b: r.b, at: at}
	switch int(marker) {
	case mRST0 + number:
		return nil
	case 0:
		return errShort
	}
	return fmt.Errorf("restart marker %d is missing", number)
}
