package jpegrgb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

func isShort(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }

// TestCut cuts files at every byte. Nothing but the EOI marker may be missing.
func TestCut(t *testing.T) {
	for name, b := range stored(t) {
		_, _, want, err := Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for n := range b {
			_, _, got, err := Decode(b[:n])
			if err == nil && !bytes.Equal(got, want) {
				t.Fatalf("%s: %d of %d bytes were taken for a whole image", name, n, len(b))
			}
			if err == nil && n < len(b)-3 {
				t.Errorf("%s: whole without its last %d bytes", name, len(b)-n)
			}
			if err != nil && n > 1 && !isShort(err) {
				t.Fatalf("%s: %d of %d bytes: %v", name, n, len(b), err)
			}
		}
	}
}

// edit returns a copy of a file with the bytes behind the first marker m set.
func edit(b []byte, m byte, at int, v ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[bytes.Index(b, []byte{0xff, m})+4+at:], v)
	return b
}

// insert puts a segment before the first marker m.
func insert(b []byte, m byte, seg ...byte) []byte {
	at := bytes.Index(b, []byte{0xff, m})
	return append(append(bytes.Clone(b[:at]), seg...), b[at:]...)
}

// TestRefuse has a file of every kind that is not read, with the words of the
// error, and says whether another program may read it.
func TestRefuse(t *testing.T) {
	color := read(t, "17x13-s444.jpg")
	gray := read(t, "17x13-gray.jpg")
	rst := read(t, "djpeg/33x18-gray-rst.jpg")
	apart := read(t, "djpeg/33x18-apart.jpg")
	prog := read(t, "17x13-prog.jpg")
	four := binary.BigEndian.AppendUint16([]byte{0xff, mSOF0}, 8+3*4)
	four = append(four, 8, 0, 13, 0, 17, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0)
	two := append([]byte{0xff, mSOF0, 0, 14, 8, 0, 13, 0, 17, 2}, 1, 0x11, 0, 2, 0x11, 0)
	sof := func(m byte) []byte {
		b := bytes.Clone(color)
		b[bytes.Index(b, []byte{0xff, mSOF0})+1] = m
		return b
	}
	frame := bytes.Index(color, []byte{0xff, mSOF0})
	onlyTables := append(bytes.Clone(color[:frame]), 0xff, mEOI)
	swap := func(b []byte, from, to string) []byte { return bytes.Replace(b, []byte(from), []byte(to), 1) }

	for _, c := range []struct {
		name        string
		data        []byte
		unsupported bool
		words       string
	}{
		{"lossless", sof(0xc3), true, "lossless JPEG (SOF3)"},
		{"hierarchical", sof(0xc5), true, "hierarchical JPEG (SOF5)"},
		{"arithmetic", read(t, "djpeg/17x13-arithmetic.jpg"), true, "arithmetic-coded JPEG (SOF9)"},
		{"progressive arithmetic", sof(0xca), true, "arithmetic-coded JPEG (SOF10)"},
		{"12 bits", edit(color, mSOF0, 0, 12), true, "12 bits a sample"},
		{"DNL", edit(color, mSOF0, 1, 0, 0), true, "DNL"},
		{"two components", swap(color, string(color[frame:frame+19]), string(two)), true, "2 components"},
		{"CMYK without a marker", swap(color, string(color[frame:frame+19]), string(four)), true, "without Adobe's marker"},
		{"fractional", edit(color, mSOF0, 7, 0x31, 0, 2, 0x21), true, "fractional"},
		{"factor 0", edit(color, mSOF0, 7, 0x01), false, "sampling factors"},
		{"factor 5", edit(color, mSOF0, 7, 0x15), false, "sampling factors"},
		{"no width", edit(color, mSOF0, 3, 0, 0), false, "frame header"},
		{"a long side", edit(color, mSOF0, 1, 0xff, 0xdd), false, "the limit for a side is 65500"},
		{"too large", edit(color, mSOF0, 1, 0x40, 0, 0x40, 0), false, "the limit is"},
		{"more than its bytes hold", edit(color, mSOF0, 1, 0x10, 0, 0x10, 0), false, "cannot hold"},
		{"large unit", edit(color, mSOF0, 7, 0x44), false, "blocks in a unit"},
		{"no quantisation table", edit(color, mSOF0, 8, 3), false, "no quantisation table 3"},
		{"no Huffman table", edit(color, mSOS, 2, 0x22), false, "no Huffman table 2"},
		{"bad Huffman table", edit(color, mDHT, 1, 3), false, "bad Huffman table"},
		{"DC symbol 16", edit(color, mDHT, 17, 16), false, "bad Huffman table"},
		{"component of another frame", edit(color, mSOS, 1, 9), false, "component 9"},
		{"out of order", swap(color, "\x01\x00\x02\x11", "\x02\x00\x01\x11"), false, "out of order"},
		{"two frames", insert(color, mSOS, color[frame:frame+19]...), false, "two frame headers"},
		{"an image in an image", insert(color, mSOS, 0xff, mSOI), false, "second image"},
		{"reserved marker", insert(color, mSOS, 0xff, 0x02, 0, 2), false, "unknown marker 0x02"},
		{"tables alone", onlyTables, false, "no frame header"},
		{"a component missing", apart[:bytes.LastIndex(apart, []byte{0xff, mSOS})], false, "no image data for component 3"},
		{"the same component twice", edit(apart, mSOS, 1, 2), false, "a second scan of component 2"},
		{"band", edit(prog, mSOS, 7, 9), false, "is not allowed"},
		{"wrong restart marker", swap(rst, "\xff\xd2", "\xff\xd5"), false, "restart marker 2 is missing"},
		{"no restart marker", swap(rst, "\xff\xd2", "\x00\x00"), false, "restart marker 2 is missing"},
		{"restart markers unasked", insert(gray, mEOI, 0xff, 0xd0), false, ""},
		{"not a JPEG", []byte("GIF89a"), false, "not a JPEG"},
		{"nothing", nil, false, "not a JPEG"},
	} {
		_, _, _, err := Decode(c.data)
		switch {
		case c.words == "":
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		case err == nil:
			t.Errorf("%s: decoded", c.name)
		case !strings.Contains(err.Error(), c.words):
			t.Errorf("%s: %v, want %q", c.name, err, c.words)
		case errors.Is(err, ErrUnsupported) != c.unsupported:
			t.Errorf("%s: unsupported is %v", c.name, !c.unsupported)
		}
	}
}

// TestScans refuses a file of very many scans, which cost time and no bytes.
func TestScans(t *testing.T) {
	b := read(t, "djpeg/17x13-prog-gray.jpg")
	first := bytes.Index(b, []byte{0xff, mSOS}) + 2
	sos := first + bytes.Index(b[first:], []byte{0xff, mSOS})
	end := sos + bytes.Index(b[sos:], []byte{0xff, mDHT}) // the scan of the low AC coefficients, which may come again
	more := func(n int) []byte {
		return append(append(bytes.Clone(b[:sos]), bytes.Repeat(b[sos:end], n)...), b[end:]...)
	}
	if _, _, _, err := Decode(more(maxScans - 10)); err != nil {
		t.Error(err)
	}
	if _, _, _, err := Decode(more(maxScans + 1)); err == nil || !strings.Contains(err.Error(), "more than 500 scans") {
		t.Error(err)
	}
}
