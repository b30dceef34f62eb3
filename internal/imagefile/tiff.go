package imagefile

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"slices"

	"golang.org/x/image/tiff"
)

var tiffCodec = codec{
	ext:   "tif",
	names: []string{"tif", "tiff"},
	match: func(head []byte) bool {
		return bytes.HasPrefix(head, []byte("II\x2a\x00")) || bytes.HasPrefix(head, []byte("MM\x00\x2a"))
	},
	claim:  tiffClaim,
	decode: decodeTIFF,
	meta: func(data []byte) metadata {
		return metadata{exif: data, xmp: readDirectory(data).bytes(tagXMP)}
	},
}

// The tags of TIFF 6.0 that decide whether a file can be read.
const (
	tagWidth       = 256
	tagHeight      = 257
	tagBits        = 258
	tagCompression = 259
	tagPhotometric = 262
	tagFillOrder   = 266
	tagOrientation = 274
	tagPlanar      = 284
	tagT4Options   = 292
	tagPredictor   = 317
	tagTileWidth   = 322
	tagExtra       = 338
	tagFormat      = 339
	tagXMP         = 700
)

// tiffPacking are the compressions that are read, with more than the ratio
// that they reach; 0: without bounds.
var tiffPacking = map[uint32]int64{0: 1, 1: 1, 3: 0, 4: 0, 5: lzw, 8: Inflate, 32946: Inflate, 32773: 64}

// tiffUnread names others.
var tiffUnread = map[uint32]string{2: "CCITT run lengths", 6: "JPEG", 7: "JPEG", 34712: "JPEG 2000", 34925: "LZMA",
	50000: "zstd", 50001: "WebP", 50002: "JPEG XL"}

// tiffColours names the colours that are not read.
var tiffColours = map[uint32]string{4: "a mask", 5: "CMYK", 6: "YCbCr", 8: "CIE L*a*b*",
	9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "a camera's filter array (a raw photograph)",
	34892: "linear raw (a raw photograph)"}

// tiffClaim names the varieties that are not read; some would be misread.
func tiffClaim(head []byte, size int64) (claim, error) {
	d := readDirectory(head)
	if d.cut && int64(len(head)) < size {
		return claim{}, io.ErrUnexpectedEOF
	}
	if d.first(tagWidth, 0) == 0 || d.first(tagHeight, 0) == 0 {
		return claim{}, errors.New("a TIFF without a size: its directory is damaged or cut off")
	}
	bits := d.values(tagBits)
	if len(bits) == 0 {
		bits = []uint32{1}
	}
	packing := d.first(tagCompression, 1)
	ratio, known := tiffPacking[packing]
	colour, samples := d.first(tagPhotometric, 0), len(bits)
	refuse := func(format string, a ...any) (claim, error) {
		return claim{}, variant("a TIFF " + fmt.Sprintf(format, a...))
	}
	switch {
	case !known && tiffUnread[packing] != "":
		return refuse("compressed by %s", tiffUnread[packing])
	case !known:
		return refuse("of compression %d", packing)
	case tiffColours[colour] != "":
		return refuse("whose colours are %s", tiffColours[colour])
	case colour > 3:
		return refuse("of colours number %d", colour)
	case slices.ContainsFunc(d.values(tagFormat), func(f uint32) bool { return f != 1 }):
		return refuse("of signed or floating-point numbers")
	case slices.ContainsFunc(bits, func(b uint32) bool { return b != bits[0] || b != 1 && b != 8 && b != 16 }):
		return refuse("of %d bits a sample", slices.Max(bits))
	case colour == 3 && bits[0] == 16:
		return refuse("of 16 bits for a number of its palette")
	case samples > 1 && d.first(tagPlanar, 1) != 1:
		return refuse("whose colours lie in planes")
	case colour == 2 && samples != 3 && samples != 4 || colour != 2 && samples != 1 && !d.greyAndAlpha():
		return refuse("of %d samples a pixel", samples)
	case colour == 2 && samples == 4 && len(d.values(tagExtra)) == 0:
		return refuse("with a fourth sample that is not said to be transparency or else")
	case d.first(tagPredictor, 1) == 2 && ratio < Inflate:
		return refuse("with a predictor, which its compression has not")
	case d.first(tagPredictor, 1) > 2 || d.first(tagPredictor, 1) == 2 && bits[0] == 1:
		return refuse("with predictor %d", d.first(tagPredictor, 1))
	case d.first(tagFillOrder, 1) != 1 && packing != 3 && packing != 4:
		return refuse("whose bits run backwards")
	case (packing == 3 || packing == 4) && colour > 1:
		return refuse("compressed by CCITT that is neither black nor white")
	case packing == 3 && d.first(tagT4Options, 0)&1 != 0:
		return refuse("compressed by CCITT group 3 in two dimensions")
	}
	c := claim{w: int(d.first(tagWidth, 0)), h: int(d.first(tagHeight, 0))}
	if ratio > 0 && max(c.w, c.h) <= MaxPixels {
		c.least = (int64(c.w)*int64(samples)*int64(bits[0]) + 7) / 8 * int64(c.h) / ratio
	}
	return c, nil
}

func decodeTIFF(data []byte) (*Image, error) {
	d := readDirectory(data)
	grey := d.greyAndAlpha()
	if grey {
		data = bytes.Clone(data) // the decoder knows none of these: for it, grey of twice the width
		d = readDirectory(data)
		w := d.first(tagWidth, 0)
		d.setOne(tagBits, 8)
		d.setOne(tagWidth, 2*w)
	}
	if len(d.values(tagBits)) == 4 && d.first(tagExtra, 2) != 1 {
		data = bytes.Clone(data) // the decoder refuses a fourth sample of unknown meaning, which is dropped here
		d = readDirectory(data)
		d.setOne(tagExtra, 2)
	}
	im, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if wide, ok := im.(*image.Gray); ok && grey {
		return everySecond(wide), nil
	}
	out := fromImage(im)
	if p := d.first(tagCompression, 1); (p == 3 || p == 4) && d.first(tagPhotometric, 0) == 1 {
		for i, v := range out.Pix { // the decoder takes white runs for white, libtiff for zeros, which are black here
			out.Pix[i] = 255 - v
		}
	}
	return out, nil
}

// greyAndAlpha says whether the pixels are grey and transparency, 8 bits each,
// row by row without a predictor.
func (d directory) greyAndAlpha() bool {
	return slices.Equal(d.values(tagBits), []uint32{8, 8}) && d.first(tagPhotometric, 0) <= 1 &&
		d.first(tagPlanar, 1) == 1 && d.first(tagPredictor, 1) == 1 && d.first(tagTileWidth, 0) == 0
}

// everySecond makes RGB of the even columns of grey.
func everySecond(im *image.Gray) *Image {
	w, h := im.Rect.Dx()/2, im.Rect.Dy()
	out := &Image{w, h, make([]uint8, 3*w*h)}
	for i := range w * h {
		v := im.Pix[i/w*im.Stride+2*(i%w)]
		out.Pix[3*i], out.Pix[3*i+1], out.Pix[3*i+2] = v, v, v
	}
	return out
}
