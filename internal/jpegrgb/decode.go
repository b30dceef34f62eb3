package jpegrgb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
)

// MaxPixels bounds the size of an image that Decode makes room for.
const MaxPixels = 1 << 26

var errUnsupported = errors.New("jpegrgb: not a sequential 8-bit file")

// Decode returns an image as RGB triples, 3·w·h bytes, row by row. Its errors
// say what is wrong with the file; nothing is allocated before the size that
// the header claims is known to be below MaxPixels.
func Decode(data []byte) (w, h int, rgb []uint8, err error) {
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return 0, 0, nil, err
	}
	if int64(c.Width)*int64(c.Height) > MaxPixels || c.Width < 1 || c.Height < 1 {
		return 0, 0, nil, fmt.Errorf("jpegrgb: %d×%d pixels, the limit is %d", c.Width, c.Height, MaxPixels)
	}
	if blocks := ceil(c.Width, 8) * ceil(c.Height, 8); blocks > 8*len(data) { // a block takes more than a bit
		return 0, 0, nil, fmt.Errorf("jpegrgb: %d bytes cannot hold the %d×%d pixels that the header claims", len(data), c.Width, c.Height)
	}
	d := &decoder{data: data}
	if err = d.parse(); err == nil {
		return d.w, d.h, d.rgb(), nil
	}
	if !errors.Is(err, errUnsupported) {
		return 0, 0, nil, err
	}
	im, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return 0, 0, nil, err
	}
	w, h = im.Bounds().Dx(), im.Bounds().Dy()
	rgb = make([]uint8, 3*w*h)
	if y, ok := im.(*image.YCbCr); ok {
		convert(rgb, y)
		return w, h, rgb, nil
	}
	flat := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(flat, flat.Rect, im, im.Bounds().Min, draw.Src)
	for i := 0; i < w*h; i++ {
		copy(rgb[3*i:3*i+3], flat.Pix[4*i:])
	}
	return w, h, rgb, nil
}

// component is one colour plane while it is decoded.
type component struct {
	id, h, v, tq   int
	bw, bh         int // blocks in the padded plane
	plane          []uint8
	dc, td, ta     int
	width, heightB int // blocks across and down that really belong to the component
}

type decoder struct {
	data    []byte
	w, h    int
	quant   [4][64]int32
	huff    [2][4]*huffman
	comps   []*component
	hm, vm  int
	restart int
	scanned map[int]bool
	adobe   int
}

var zigzag = [64]int{0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63}

// parse walks the markers up to the end of the image.
func (d *decoder) parse() error {
	d.adobe, d.scanned = -1, map[int]bool{}
	b := d.data
	for at := 2; ; {
		for at < len(b) && b[at] != 0xff {
			at++
		}
		for at < len(b) && b[at] == 0xff {
			at++
		}
		if at >= len(b) {
			return d.finish()
		}
		marker := b[at]
		at++
		if marker == 0xd9 {
			return d.finish()
		}
		if marker == 0 || marker == 1 || marker >= 0xd0 && marker <= 0xd7 {
			continue
		}
		if at+2 > len(b) {
			return errors.New("jpegrgb: file ends inside a marker")
		}
		n := int(binary.BigEndian.Uint16(b[at:]))
		if n < 2 || at+n > len(b) {
			return errors.New("jpegrgb: file ends inside a marker")
		}
		body := b[at+2 : at+n]
		at += n
		var err error
		switch marker {
		case 0xc0, 0xc1:
			err = d.frame(body)
		case 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf:
			return errUnsupported
		case 0xc4:
			err = d.tables(body)
		case 0xdb:
			err = d.quants(body)
		case 0xdd:
			if len(body) < 2 {
				return errors.New("jpegrgb: short restart interval")
			}
			d.restart = int(binary.BigEndian.Uint16(body))
		case 0xee:
			if len(body) >= 12 && string(body[:5]) == "Adobe" {
				d.adobe = int(body[11])
			}
		case 0xda:
			var used int
			used, err = d.scan(body, b[at:])
			at += used
		}
		if err != nil {
			return err
		}
	}
}

// finish checks that every component was there.
func (d *decoder) finish() error {
	if len(d.comps) == 0 || len(d.scanned) < len(d.comps) {
		return errors.New("jpegrgb: file ends before its image does")
	}
	return nil
}

func (d *decoder) quants(b []byte) error {
	for len(b) > 0 {
		wide, id := b[0]>>4, b[0]&15
		n := 64 << wide
		if wide > 1 || id > 3 || len(b) < 1+n {
			return errors.New("jpegrgb: bad quantisation table")
		}
		for i := range 64 {
			if wide == 1 {
				d.quant[id][zigzag[i]] = int32(binary.BigEndian.Uint16(b[1+2*i:]))
			} else {
				d.quant[id][zigzag[i]] = int32(b[1+i])
			}
		}
		b = b[1+n:]
	}
	return nil
}

func (d *decoder) frame(b []byte) error {
	if d.comps != nil || len(b) < 6 || len(b) < 6+3*int(b[5]) {
		return errors.New("jpegrgb: bad frame header")
	}
	d.h, d.w = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	n := int(b[5])
	if b[0] != 8 || n != 1 && n != 3 || n == 3 && d.adobe == 0 || d.w == 0 || d.h == 0 {
		return errUnsupported
	}
	for i := range n {
		c := &component{id: int(b[6+3*i]), h: int(b[7+3*i] >> 4), v: int(b[7+3*i] & 15), tq: int(b[8+3*i])}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.tq > 3 {
			return errors.New("jpegrgb: bad component")
		}
		d.hm, d.vm = max(d.hm, c.h), max(d.vm, c.v)
		d.comps = append(d.comps, c)
	}
	if n == 1 { // one component fills its scan whatever factors it claims
		d.comps[0].h, d.comps[0].v, d.hm, d.vm = 1, 1, 1, 1
	} else if !d.known() {
		return errUnsupported
	}
	mw, mh := (d.w+8*d.hm-1)/(8*d.hm), (d.h+8*d.vm-1)/(8*d.vm)
	for _, c := range d.comps {
		c.bw, c.bh = mw*c.h, mh*c.v
		c.width = (ceil(d.w*c.h, d.hm) + 7) / 8
		c.heightB = (ceil(d.h*c.v, d.vm) + 7) / 8
		c.plane = make([]uint8, 64*c.bw*c.bh)
	}
	return nil
}

func ceil(a, b int) int { return (a + b - 1) / b }

// known says whether the chroma subsampling is one that rgb interpolates as
// libjpeg does: none, 4:2:2 or 4:2:0.
func (d *decoder) known() bool {
	y, u, v := d.comps[0], d.comps[1], d.comps[2]
	if u.h != v.h || u.v != v.v || y.h != d.hm || y.v != d.vm || u.h != 1 || u.v != 1 {
		return false
	}
	return y.h == 1 && y.v == 1 || y.h == 2 && (y.v == 1 || y.v == 2)
}

// rgb interpolates the chroma and converts.
func (d *decoder) rgb() []uint8 {
	out := make([]uint8, 3*d.w*d.h)
	y := d.comps[0]
	if len(d.comps) == 1 {
		for r := 0; r < d.h; r++ {
			for x, v := range y.plane[r*8*y.bw : r*8*y.bw+d.w] {
				o := 3 * (r*d.w + x)
				out[o], out[o+1], out[o+2] = v, v, v
			}
		}
		return out
	}
	u, v := d.comps[1], d.comps[2]
	im := &image.YCbCr{Y: y.plane, Cb: u.plane, Cr: v.plane, YStride: 8 * y.bw, CStride: 8 * u.bw,
		SubsampleRatio: image.YCbCrSubsampleRatio444, Rect: image.Rect(0, 0, d.w, d.h)}
	switch {
	case d.hm == 2 && d.vm == 2:
		im.SubsampleRatio = image.YCbCrSubsampleRatio420
	case d.hm == 2:
		im.SubsampleRatio = image.YCbCrSubsampleRatio422
	}
	convert(out, im)
	return out
}
