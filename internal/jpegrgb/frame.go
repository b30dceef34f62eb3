package jpegrgb

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxSide is the largest width and height that libjpeg reads.
const maxSide = 65500

// frame is the picture that a frame header describes.
type frame struct {
	w, h        int
	progressive bool
	comps       []*component
	hmax, vmax  int // largest sampling factors
	space       space
	laid        bool // room was made for the samples
}

// component is one colour plane.
type component struct {
	id, h, v, tq int // identifier, sampling factors, quantisation table
	w, rows      int // samples that the picture needs
	bw, bh       int // blocks that hold them
	plane        []uint8
	quant        *[64]int32 // as its first scan found it, in natural order

	// Of a progressive file: 64 coefficients of each block in natural order,
	// which of them are not 0 by zigzag index, and how many low bits of each
	// coefficient are not known yet, by zigzag index, -1 where nothing is.
	coef []int16
	set  []uint64
	bits [64]int
}

func ceil(a, b int) int { return (a + b - 1) / b }

// startFrame reads a frame header.
func (d *decoder) startFrame(b []byte, progressive bool) error {
	if d.frame != nil {
		return errors.New("two frame headers")
	}
	if len(b) < 6 {
		return missing("the frame header")
	}
	f := &frame{h: int(binary.BigEndian.Uint16(b[1:])), w: int(binary.BigEndian.Uint16(b[3:]))}
	f.progressive, f.hmax, f.vmax = progressive, 1, 1
	n := int(b[5])
	switch {
	case b[0] != 8:
		return unsupported(fmt.Sprintf("a JPEG of %d bits a sample; 8 are read", b[0]))
	case f.w > 0 && f.h == 0:
		return unsupported("a JPEG without a height in its header (DNL), which is not read")
	case f.w == 0 || f.h == 0 || n == 0 || len(b) != 6+3*n:
		return errors.New("bad frame header")
	case f.w > maxSide || f.h > maxSide:
		return fmt.Errorf("%d×%d pixels, the limit for a side is %d", f.w, f.h, maxSide)
	case f.w*f.h > MaxPixels:
		return fmt.Errorf("%d×%d pixels, the limit is %d", f.w, f.h, MaxPixels)
	case n != 1 && n != 3 && n != 4:
		return unsupported(fmt.Sprintf("a JPEG of %d components; 1, 3 and 4 are read", n))
	}
	for i := range n {
		c := &component{id: int(b[6+3*i]), h: int(b[7+3*i] >> 4), v: int(b[7+3*i] & 15), tq: int(b[8+3*i])}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 {
			return fmt.Errorf("component %d has the sampling factors %d×%d; they go from 1 to 4", c.id, c.h, c.v)
		}
		for k := range c.bits {
			c.bits[k] = -1
		}
		f.hmax, f.vmax = max(f.hmax, c.h), max(f.vmax, c.v)
		f.comps = append(f.comps, c)
	}
	d.frame = f
	return f.measure()
}

// measure works out the sizes of the components.
func (f *frame) measure() error {
	for _, c := range f.comps {
		if f.hmax%c.h != 0 || f.vmax%c.v != 0 {
			return unsupported(fmt.Sprintf("component %d has %d×%d samples where another has %d×%d: "+
				"a fractional ratio, which is not read", c.id, c.h, c.v, f.hmax, f.vmax))
		}
		c.w, c.rows = ceil(f.w*c.h, f.hmax), ceil(f.h*c.v, f.vmax)
		c.bw, c.bh = ceil(c.w, 8), ceil(c.rows, 8)
	}
	return nil
}

// layOut makes room for the samples, once the file is known to have a bit for
// each block at least, and settles the colour space: markers behind the first
// scan have no say in it.
func (d *decoder) layOut() error {
	f := d.frame
	if f.laid {
		return nil
	}
	f.laid = true
	blocks := 0
	for _, c := range f.comps {
		blocks += c.bw * c.bh
	}
	if blocks > 8*len(d.data) {
		return fmt.Errorf("%d bytes cannot hold the %d×%d pixels that the header claims", len(d.data), f.w, f.h)
	}
	for _, c := range f.comps {
		if f.progressive {
			c.coef, c.set = make([]int16, 64*c.bw*c.bh), make([]uint64, c.bw*c.bh)
		} else {
			c.plane = make([]uint8, 64*c.bw*c.bh)
		}
	}
	var err error
	f.space, err = d.guessSpace()
	return err
}
