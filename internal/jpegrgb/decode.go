package jpegrgb

import (
	"errors"
	"fmt"
	"io"
)

// MaxPixels bounds the size of an image that Decode makes room for.
const MaxPixels = 1 << 26

// maxScans bounds the work that a small hostile file can ask for: a scan of a
// large progressive image may take a few bytes. Encoders write about ten scans,
// cjpeg at most a hundred.
const maxScans = 500

// ErrUnsupported is wrapped by the errors for kinds of JPEG that are not read:
// another program can convert such a file.
var ErrUnsupported = errors.New("not a kind of JPEG that is read")

// unsupported is an error of the kind ErrUnsupported with its own words.
type unsupported string

func (e unsupported) Error() string        { return string(e) }
func (e unsupported) Is(target error) bool { return target == ErrUnsupported }

// errShort says that bits are missing: libjpeg would invent grey.
var errShort = fmt.Errorf("the image data is cut short: %w", io.ErrUnexpectedEOF)

// Config returns the width and height in pixels from the start of a file. The
// error is io.ErrUnexpectedEOF where head ends before the frame header.
func Config(head []byte) (w, h int, err error) {
	d := &decoder{data: head, justHeader: true}
	if err := d.parse(); err != nil {
		return 0, 0, err
	}
	if d.frame == nil {
		return 0, 0, io.ErrUnexpectedEOF
	}
	return d.frame.w, d.frame.h, nil
}

// Decode returns an image as RGB triples, 3·w·h bytes, row by row. Its errors
// say what is wrong with the file; nothing is allocated before the size that
// the header claims is known to be below MaxPixels and to fit the file.
func Decode(data []byte) (w, h int, rgb []uint8, err error) {
	d := &decoder{data: data}
	if err := d.parse(); err != nil {
		return 0, 0, nil, err
	}
	if err := d.finish(); err != nil {
		return 0, 0, nil, err
	}
	if d.frame.progressive {
		d.frame.transform()
	}
	return d.frame.w, d.frame.h, d.frame.rgb(), nil
}

// decoder is what the markers read so far have said.
type decoder struct {
	data       []byte
	at         int
	justHeader bool // stop behind the frame header
	ended      bool // at an EOI marker, not at the end of the file
	jfif       bool
	adobe      int // the transform of Adobe's marker, -1 without one
	quant      [4]*[64]int32
	huff       [2][4]*huffman // DC and AC
	restart    int            // MCUs in a restart interval, 0: no intervals
	frame      *frame
	scans      int
}

// finish checks that the image is all there. A sequential file needs a scan of
// every component. A progressive one may leave coefficients out, and its EOI
// marker says that it meant to; without the marker it must be complete.
func (d *decoder) finish() error {
	if d.frame == nil {
		return fmt.Errorf("no frame header: %w", io.ErrUnexpectedEOF)
	}
	for _, c := range d.frame.comps {
		if c.quant == nil || d.frame.progressive && c.bits[0] < 0 {
			return fmt.Errorf("no image data for component %d: %w", c.id, io.ErrUnexpectedEOF)
		}
		for _, left := range c.bits {
			if d.frame.progressive && !d.ended && left != 0 {
				return fmt.Errorf("the last scans are missing: %w", io.ErrUnexpectedEOF)
			}
		}
	}
	return nil
}
