package jpegrgb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Markers that the parser tells apart (ITU-T T.81, table B.1).
const (
	mTEM  = 0x01
	mSOF0 = 0xc0
	mSOF1 = 0xc1
	mSOF2 = 0xc2
	mDHT  = 0xc4
	mDAC  = 0xcc
	mRST0 = 0xd0
	mRST7 = 0xd7
	mSOI  = 0xd8
	mEOI  = 0xd9
	mSOS  = 0xda
	mDQT  = 0xdb
	mDNL  = 0xdc
	mDRI  = 0xdd
	mAPP0 = 0xe0
	mAPPE = 0xee
	mAPPF = 0xef
	mCOM  = 0xfe
)

// nextMarker moves behind the next marker and returns it, 0 at the end of the
// data. Stray bytes before it and fill bytes are skipped.
func nextMarker(b []byte, at int) (marker byte, behind int) {
	for {
		for at < len(b) && b[at] != 0xff {
			at++
		}
		for at < len(b) && b[at] == 0xff {
			at++
		}
		if at >= len(b) {
			return 0, len(b)
		}
		if at++; b[at-1] != 0 {
			return b[at-1], at
		}
	}
}

// parse walks the markers up to the end of the image or of the file.
func (d *decoder) parse() error {
	if len(d.data) < 2 || d.data[0] != 0xff || d.data[1] != mSOI {
		return errors.New("not a JPEG file")
	}
	d.adobe, d.at = -1, 2
	for !d.ended && !(d.justHeader && d.frame != nil) {
		marker, at := nextMarker(d.data, d.at)
		d.at = at
		if marker == 0 {
			return nil // finish says what is missing
		}
		if marker == mEOI {
			d.ended = true
			return nil
		}
		if marker == mTEM || marker >= mRST0 && marker <= mRST7 {
			continue
		}
		if marker == mSOI {
			return errors.New("a second image starts inside the first")
		}
		read, err := d.reader(marker)
		if err != nil {
			return err
		}
		body, whole := d.segment()
		if !whole {
			return nil
		}
		if err := read(d, body); err != nil {
			return err
		}
	}
	return nil
}

// segment returns what belongs to the marker before d.at and moves behind it.
func (d *decoder) segment() (body []byte, whole bool) {
	rest := d.data[d.at:]
	if len(rest) < 2 {
		d.at = len(d.data)
		return nil, false
	}
	n := max(2, int(binary.BigEndian.Uint16(rest)))
	if n > len(rest) {
		d.at = len(d.data)
		return nil, false
	}
	d.at += n
	return rest[2:n], true
}

// readers parse the segments that say something about the pixels.
var readers = map[byte]func(*decoder, []byte) error{
	mSOF0: func(d *decoder, b []byte) error { return d.startFrame(b, false) },
	mSOF1: func(d *decoder, b []byte) error { return d.startFrame(b, false) },
	mSOF2: func(d *decoder, b []byte) error { return d.startFrame(b, true) },
	mDHT:  (*decoder).huffmanTables,
	mSOS:  (*decoder).scan,
	mDQT:  (*decoder).quantTables,
	mDRI:  (*decoder).restartInterval,
	mAPP0: (*decoder).app0,
	mAPPE: (*decoder).app14,
	mDAC:  skip,
	mDNL:  skip,
	mCOM:  skip,
}

func skip(*decoder, []byte) error { return nil }

// foreign names the frames that are not read.
var foreign = map[byte]string{
	0xc3: "a lossless", 0xc5: "a hierarchical", 0xc6: "a hierarchical", 0xc7: "a hierarchical",
	0xc9: "an arithmetic-coded", 0xca: "an arithmetic-coded", 0xcb: "an arithmetic-coded lossless",
	0xcd: "a hierarchical", 0xce: "a hierarchical", 0xcf: "a hierarchical",
}

// reader returns what reads a marker's segment.
func (d *decoder) reader(marker byte) (func(*decoder, []byte) error, error) {
	if read := readers[marker]; read != nil {
		return read, nil
	}
	if kind := foreign[marker]; kind != "" {
		return nil, unsupported(fmt.Sprintf("%s JPEG (SOF%d), which is not read", kind, marker-mSOF0))
	}
	if marker > mAPP0 && marker <= mAPPF {
		return skip, nil
	}
	return nil, fmt.Errorf("unknown marker 0x%02x", marker)
}

func (d *decoder) restartInterval(b []byte) error {
	if len(b) != 2 {
		return errors.New("bad restart interval")
	}
	d.restart = int(binary.BigEndian.Uint16(b))
	return nil
}

// app0 looks for JFIF's marker, which says that three components are YCbCr.
func (d *decoder) app0(b []byte) error {
	d.jfif = d.jfif || len(b) >= 14 && string(b[:5]) == "JFIF\x00"
	return nil
}

// app14 looks for Adobe's marker, which says how colours are coded.
func (d *decoder) app14(b []byte) error {
	if len(b) >= 12 && string(b[:5]) == "Adobe" {
		d.adobe = int(b[11])
	}
	return nil
}

// missing is the error for data that ends inside a table.
func missing(what string) error {
	return fmt.Errorf("%s is cut short: %w", what, io.ErrUnexpectedEOF)
}
