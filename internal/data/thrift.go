package data

import (
	"encoding/binary"
	"errors"
)

// errThrift is what a Thrift message that does not fit its bytes is.
var errThrift = errors.New("damaged metadata")

// thriftWalk returns the length of the struct at the start of b, in Thrift's
// compact protocol. It fails where a string or a list claims more than the
// bytes that are left, so that what it accepts can be given to a decoder that
// believes lengths.
func thriftWalk(b []byte) (int, error) {
	w := walker{b: b}
	w.structure(0)
	if w.bad {
		return 0, errThrift
	}
	return w.at, nil
}

type walker struct {
	b   []byte
	at  int
	bad bool
}

// maxNesting is deeper than any message of Parquet.
const maxNesting = 32

// The type numbers of the compact protocol.
const (
	thriftTrue, thriftFalse, thriftByte, thriftI16, thriftI32, thriftI64, thriftDouble = 1, 2, 3, 4, 5, 6, 7
	thriftBinary, thriftList, thriftSet, thriftMap, thriftStruct, thriftUUID           = 8, 9, 10, 11, 12, 13
)

func (w *walker) byte() byte {
	if w.at >= len(w.b) {
		w.bad = true
		return 0
	}
	w.at++
	return w.b[w.at-1]
}

func (w *walker) varint() uint64 {
	v, n := binary.Uvarint(w.b[w.at:])
	if n <= 0 {
		w.bad = true
		return 0
	}
	w.at += n
	return v
}

func (w *walker) skip(n uint64) {
	if n > uint64(len(w.b)-w.at) {
		w.bad = true
		return
	}
	w.at += int(n)
}

func (w *walker) structure(depth int) {
	if depth > maxNesting {
		w.bad = true
	}
	for !w.bad {
		f := w.byte()
		if f == 0 {
			return
		}
		if f>>4 == 0 {
			w.varint()
		}
		if t := f & 15; t != thriftTrue && t != thriftFalse { // a field's type is its value
			w.value(t, depth)
		}
	}
}

func (w *walker) value(t byte, depth int) {
	switch t {
	case thriftTrue, thriftFalse, thriftByte:
		w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		w.varint()
	case thriftDouble:
		w.skip(8)
	case thriftUUID:
		w.skip(16)
	case thriftBinary:
		w.skip(w.varint())
	case thriftStruct:
		w.structure(depth + 1)
	case thriftList, thriftSet:
		h := w.byte()
		n := uint64(h >> 4)
		if n == 15 {
			n = w.varint()
		}
		w.elements(n, depth, h&15)
	case thriftMap:
		if n := w.varint(); n > 0 {
			types := w.byte()
			w.elements(n, depth, types>>4, types&15)
		}
	default:
		w.bad = true
	}
}

// elements skips n values, or pairs of them. Every one takes a byte at least.
func (w *walker) elements(n uint64, depth int, types ...byte) {
	if n > uint64(len(w.b)-w.at) || depth > maxNesting {
		w.bad = true
	}
	for ; n > 0 && !w.bad; n-- {
		for _, t := range types {
			w.value(t, depth+1)
		}
	}
}
