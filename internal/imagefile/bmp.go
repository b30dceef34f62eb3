package imagefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/image/bmp"
)

var bmpCodec = codec{
	ext:   "bmp",
	names: []string{"bmp", "dib"},
	match: func(head []byte) bool { // two letters alone begin much else, so the reserved words must be empty
		return bytes.HasPrefix(head, []byte("BM")) && len(head) >= 18 && binary.LittleEndian.Uint32(head[6:]) == 0 &&
			binary.LittleEndian.Uint32(head[14:]) < 256 // bytes of the second header
	},
	claim: bmpClaim,
	decode: func(data []byte) (*Image, error) {
		im, err := bmp.Decode(bytes.NewReader(data))
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if errors.Is(err, bmp.ErrUnsupported) {
			err = variant("a BMP whose header or masks of colour are unusual")
		}
		if err != nil {
			return nil, err
		}
		return fromImage(im), nil
	},
}

// bmpClaim names the varieties that are not read, and checks that all rows can
// be there: what is left is never compressed.
func bmpClaim(head []byte, _ int64) (claim, error) {
	const infoHeader = 40
	le := binary.LittleEndian
	if n := le.Uint32(head[14:]); n < infoHeader {
		return claim{}, variant(fmt.Sprintf("a BMP of OS/2 (a header of %d bytes)", n))
	}
	if len(head) < 14+infoHeader {
		return claim{}, io.ErrUnexpectedEOF
	}
	bits, packing := int(le.Uint16(head[28:])), le.Uint32(head[30:])
	switch {
	case packing == 1 || packing == 2:
		return claim{}, variant("a BMP with run lengths (RLE)")
	case packing == 4 || packing == 5:
		return claim{}, variant("a BMP with a JPEG or PNG inside")
	case !slices.Contains([]int{1, 2, 4, 8, 24, 32}, bits):
		return claim{}, variant(fmt.Sprintf("a BMP of %d bits a pixel", bits))
	}
	w, h := int(int32(le.Uint32(head[18:]))), int(int32(le.Uint32(head[22:])))
	if h < 0 {
		h = -h
	}
	row := (int64(w)*int64(bits) + 31) / 32 * 4
	return claim{w, h, int64(le.Uint32(head[10:])) + row*int64(min(h, MaxPixels))}, nil
}
