package imagefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/image/vp8"
	"golang.org/x/image/vp8l"
)

var webpCodec = codec{
	ext:   "webp",
	names: []string{"webp"},
	match: func(head []byte) bool {
		return bytes.HasPrefix(head, []byte("RIFF")) && len(head) >= 12 && string(head[8:12]) == "WEBP"
	},
	claim: func(head []byte, size int64) (claim, error) {
		f, err := parseWebP(head, size)
		return claim{f.w, f.h, f.least()}, err
	},
	decode: decodeWebP,
	meta: func(data []byte) metadata {
		f, err := parseWebP(data, int64(len(data)))
		if err != nil {
			return metadata{}
		}
		return f.meta
	},
}

// webpFile is what the container says (RFC 9649, section 2).
type webpFile struct {
	w, h     int  // of the canvas
	extended bool // there is a header VP8X
	animated bool
	frame    webpFrame // the only picture, or the first of an animation
	meta     metadata
}

// webpFrame is one compressed picture.
type webpFrame struct {
	x, y, w, h int
	lossy      bool
	data       []byte
}

// least is the fewest bytes that the first picture can have: a lossy one
// spends more than a bit on each block of 16×16 pixels. A lossless one of a
// single colour has no bits for pixels at all.
func (f webpFile) least() int64 {
	if !f.frame.lossy {
		return 0
	}
	return int64((f.frame.w+15)/16) * int64((f.frame.h+15)/16) / 8
}

// parseWebP reads the chunks of a file of size bytes, of which head are the
// first. The error io.ErrUnexpectedEOF says that the first picture's header
// lies behind them.
func parseWebP(head []byte, size int64) (webpFile, error) {
	var f webpFile
	claimed := int64(binary.LittleEndian.Uint32(head[4:])) + 8
	if claimed > size {
		return f, errors.New("the file ends before its image does")
	}
	var flags byte // of VP8X: what else there is
	err := riffChunks(head[12:min(claimed, int64(len(head)))], func(name string, body []byte) error {
		switch name {
		case "VP8X":
			if len(body) < 10 {
				return io.ErrUnexpectedEOF
			}
			flags = body[0]
			f.w, f.h, f.extended = uint24(body[4:])+1, uint24(body[7:])+1, true
		case "ANMF":
			if f.frame.w > 0 {
				return nil
			}
			if len(body) < 16 {
				return io.ErrUnexpectedEOF
			}
			f.animated = true
			f.frame.x, f.frame.y = 2*uint24(body), 2*uint24(body[3:])
			return riffChunks(body[16:], f.picture)
		case "EXIF":
			if flags&8 != 0 {
				f.meta.exif = body
			}
		case "XMP ":
			if flags&4 != 0 {
				f.meta.xmp = body
			}
		default:
			return f.picture(name, body)
		}
		return nil
	})
	if err != nil {
		return f, err
	}
	if f.frame.w == 0 {
		return f, io.ErrUnexpectedEOF
	}
	if !f.extended {
		f.w, f.h = f.frame.w, f.frame.h
	}
	if f.extended && !f.animated && (f.frame.w != f.w || f.frame.h != f.h) ||
		f.frame.x+f.frame.w > f.w || f.frame.y+f.frame.h > f.h {
		return f, fmt.Errorf("a picture of %d×%d pixels on a canvas of %d×%d", f.frame.w, f.frame.h, f.w, f.h)
	}
	return f, nil
}

// riffChunks calls visit for each chunk, the last one perhaps cut.
func riffChunks(b []byte, visit func(name string, body []byte) error) error {
	for len(b) >= 8 {
		n := int64(binary.LittleEndian.Uint32(b[4:]))
		body := b[8:min(8+n, int64(len(b)))]
		if err := visit(string(b[:4]), body); err != nil {
			return err
		}
		b = b[min(8+n+n%2, int64(len(b))):]
	}
	return nil
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// picture takes the first compressed picture.
func (f *webpFile) picture(name string, body []byte) error {
	p := &f.frame
	if name != "VP8 " && name != "VP8L" || p.w > 0 {
		return nil
	}
	if len(body) < 10 {
		return io.ErrUnexpectedEOF
	}
	p.data = body
	if p.lossy = name == "VP8 "; p.lossy { // RFC 6386, section 9.1
		p.w, p.h = int(binary.LittleEndian.Uint16(body[6:])&0x3fff), int(binary.LittleEndian.Uint16(body[8:])&0x3fff)
		return nil
	}
	bits := binary.LittleEndian.Uint32(body[1:]) // RFC 9649, section 3.4
	p.w, p.h = int(bits&0x3fff)+1, int(bits>>14&0x3fff)+1
	return nil
}

// decodeWebP decodes the first picture onto a black canvas, which only an
// animation can leave uncovered.
func decodeWebP(data []byte) (*Image, error) {
	f, err := parseWebP(data, int64(len(data)))
	if err != nil {
		return nil, err
	}
	im, err := f.frame.decode()
	if err != nil {
		return nil, err
	}
	if im.Width == f.w && im.Height == f.h {
		return im, nil
	}
	canvas := &Image{f.w, f.h, make([]uint8, 3*f.w*f.h)}
	canvas.put(im, f.frame.x, f.frame.y)
	return canvas, nil
}

// put copies a picture that fits to a place.
func (m *Image) put(im *Image, x, y int) {
	for row := range im.Height {
		copy(m.Pix[3*((y+row)*m.Width+x):], im.Pix[3*row*im.Width:3*(row+1)*im.Width])
	}
}

func (p webpFrame) decode() (*Image, error) {
	if !p.lossy {
		im, err := vp8l.Decode(bytes.NewReader(p.data))
		if err != nil {
			return nil, err
		}
		return fromImage(im), nil
	}
	d := vp8.NewDecoder()
	d.Init(bytes.NewReader(p.data), len(p.data))
	if _, err := d.DecodeFrameHeader(); err != nil {
		return nil, err
	}
	im, err := d.DecodeFrame()
	if err != nil {
		return nil, err
	}
	return fromYCbCr(im), nil
}
