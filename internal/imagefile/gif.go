package imagefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/gif"
	"io"
)

// lzw is more than the pixels that a byte of GIF's LZW can stand for: a code
// of 12 bits stands for fewer than 4096.
const lzw = 2731

var gifCodec = codec{
	ext:   "gif",
	names: []string{"gif"},
	match: func(head []byte) bool {
		return bytes.HasPrefix(head, []byte("GIF87a")) || bytes.HasPrefix(head, []byte("GIF89a"))
	},
	claim: func(head []byte, _ int64) (claim, error) {
		f, err := parseGIF(head)
		return claim{f.w, f.h, int64(f.frame.Dx()) * int64(f.frame.Dy()) / lzw}, err
	},
	decode: decodeGIF,
}

// gifFile is what stands in front of the first picture.
type gifFile struct {
	w, h        int // of the canvas, made larger where the first picture is not within
	frame       image.Rectangle
	palette     []byte // of the first picture, three bytes a colour
	transparent int    // number of the colour that is seen through, -1: none
}

// parseGIF reads up to the first picture. The error io.ErrUnexpectedEOF says
// that the bytes end before it.
func parseGIF(b []byte) (gifFile, error) {
	f := gifFile{transparent: -1}
	if len(b) < 13 {
		return f, io.ErrUnexpectedEOF
	}
	f.w, f.h = int(binary.LittleEndian.Uint16(b[6:])), int(binary.LittleEndian.Uint16(b[8:]))
	var err error
	flags := b[10]
	if f.palette, b, err = colourTable(flags, b[13:]); err != nil {
		return f, err
	}
	for {
		if len(b) < 2 && !bytes.HasPrefix(b, []byte{0x3b}) {
			return f, io.ErrUnexpectedEOF
		}
		switch b[0] {
		case 0x21:
			label := b[1]
			for b = b[2:]; ; {
				if len(b) == 0 || len(b) < 1+int(b[0]) {
					return f, io.ErrUnexpectedEOF
				}
				n := int(b[0])
				if label == 0xf9 && n == 4 {
					f.transparent = -1
					if b[1]&1 != 0 {
						f.transparent = int(b[4])
					}
				}
				if b = b[1+n:]; n == 0 {
					break
				}
			}
		case 0x2c:
			return f, f.descriptor(b[1:])
		case 0x3b:
			return f, errors.New("there is no picture in it")
		default:
			b = b[1:] // PIL and browsers pass over stray bytes between blocks
		}
	}
}

// descriptor reads the size, place and colours of the first picture.
func (f *gifFile) descriptor(b []byte) error {
	if len(b) < 9 {
		return io.ErrUnexpectedEOF
	}
	word := func(i int) int { return int(binary.LittleEndian.Uint16(b[2*i:])) }
	f.frame = image.Rect(word(0), word(1), word(0)+word(2), word(1)+word(3))
	f.w, f.h = max(f.w, f.frame.Max.X), max(f.h, f.frame.Max.Y)
	if f.frame.Empty() || f.w > 0xffff || f.h > 0xffff {
		return errors.New("a first picture without pixels, or beyond the largest canvas")
	}
	local, _, err := colourTable(b[8], b[9:])
	if len(local) > 0 {
		f.palette = local
	}
	return err
}

// colourTable cuts off the table that flags announce.
func colourTable(flags byte, b []byte) (table, rest []byte, err error) {
	if flags&0x80 == 0 {
		return nil, b, nil
	}
	n := 3 << (flags&7 + 1)
	if n > len(b) {
		return nil, nil, io.ErrUnexpectedEOF
	}
	return b[:n], b[n:], nil
}

// decodeGIF decodes the first picture onto a canvas of the colour that is seen
// through, or of the first colour, as PIL does. The standard library keeps no
// colour under transparency, so the colours are taken from the file.
func decodeGIF(data []byte) (*Image, error) {
	f, err := parseGIF(data)
	if err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint16(data[6:]) != uint16(f.w) || binary.LittleEndian.Uint16(data[8:]) != uint16(f.h) {
		data = bytes.Clone(data)
		binary.LittleEndian.PutUint16(data[6:], uint16(f.w))
		binary.LittleEndian.PutUint16(data[8:], uint16(f.h))
	}
	im, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	picture, ok := im.(*image.Paletted)
	if !ok || picture.Rect != f.frame {
		return nil, errors.New("its first picture is not where its header says")
	}
	var colours [256][3]uint8 // what the table lacks is black
	for i := range len(f.palette) / 3 {
		copy(colours[i][:], f.palette[3*i:])
	}
	out := &Image{f.w, f.h, make([]uint8, 3*f.w*f.h)}
	if f.frame != image.Rect(0, 0, f.w, f.h) {
		ground := colours[max(f.transparent, 0)]
		for i := 0; i < len(out.Pix); i += 3 {
			copy(out.Pix[i:i+3], ground[:])
		}
	}
	for y := range f.frame.Dy() {
		at := 3 * ((f.frame.Min.Y+y)*f.w + f.frame.Min.X)
		for _, c := range picture.Pix[y*picture.Stride:][:f.frame.Dx()] {
			copy(out.Pix[at:at+3], colours[c][:])
			at += 3
		}
	}
	return out, nil
}
