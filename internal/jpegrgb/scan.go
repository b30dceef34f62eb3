package jpegrgb

import (
	"errors"
	"fmt"
)

// maxUnit is the largest number of blocks in an interleaved unit (T.81, B.2.3).
const maxUnit = 10

var errData = errors.New("damaged image data")

// scan is one pass over the blocks of some components.
type scan struct {
	frame   *frame
	comps   []*component
	dc, ac  []*huffman
	restart int
	bits    bitReader
	last    [4]int32 // DC value of the block before, by place in the scan

	low, high int  // band of coefficients, by zigzag index
	refine    bool // adds a bit to what other scans gave
	shift     uint // low bits left for later scans
	run       int  // next blocks that have nothing new in the band (EOBRUN)

	// block decodes the block at column x and row y of the component at place i
	// of the scan. It may lie outside the picture, in the padding of a unit.
	block func(s *scan, i, x, y int) error
	// ended does what there is to do for n blocks of such a run, from the block
	// at an index.
	ended func(s *scan, from, n int)
	coef  [64]int16
}

// scan reads a scan header and the image data behind it.
func (d *decoder) scan(b []byte) error {
	if d.frame == nil {
		return errors.New("image data before the frame header")
	}
	if len(b) < 1 || len(b) != 4+2*int(b[0]) || b[0] < 1 || b[0] > 4 {
		return errors.New("bad scan header")
	}
	if d.scans++; d.scans > maxScans {
		return fmt.Errorf("more than %d scans", maxScans)
	}
	if err := d.layOut(); err != nil {
		return err
	}
	if !d.frame.progressive && d.scans == 1 {
		d.standardTables()
	}
	n := int(b[0])
	s := &scan{frame: d.frame, restart: d.restart, bits: bitReader{b: d.data, at: d.at}}
	s.dc, s.ac = make([]*huffman, n), make([]*huffman, n)
	if err := s.choose(b[1 : 1+2*n]); err != nil {
		return err
	}
	if err := d.latch(s.comps); err != nil {
		return err
	}
	tail := b[1+2*n:]
	s.low, s.high = int(tail[0]), int(tail[1])
	s.refine, s.shift = tail[2]>>4 != 0, uint(tail[2]&15)
	var err error
	if d.frame.progressive {
		err = s.startProgressive(int(tail[2] >> 4))
	} else {
		err = s.startSequential()
	}
	if err != nil {
		return err
	}
	for i := range n {
		if err := s.tables(d, i, int(b[2+2*i]>>4), int(b[2+2*i]&15)); err != nil {
			return err
		}
	}
	err = s.decode()
	d.at = s.bits.at
	return err
}

// choose finds the components that a scan header names. They come in the order
// of the frame.
func (s *scan) choose(spec []byte) error {
	at := 0
	for i := 0; i < len(spec); i += 2 {
		for at < len(s.frame.comps) && s.frame.comps[at].id != int(spec[i]) {
			at++
		}
		if at == len(s.frame.comps) {
			return fmt.Errorf("a scan of component %d, which is not in the frame or out of order", spec[i])
		}
		s.comps = append(s.comps, s.frame.comps[at])
		at++
	}
	if len(s.comps) == 1 {
		return nil
	}
	blocks := 0
	for _, c := range s.comps {
		blocks += c.h * c.v
	}
	if blocks > maxUnit {
		return fmt.Errorf("a scan of %d blocks in a unit, the limit is %d", blocks, maxUnit)
	}
	return nil
}

// latch keeps the quantisation table that a component finds at its first scan:
// later tables under the same number are for others.
func (d *decoder) latch(comps []*component) error {
	for _, c := range comps {
		if c.quant != nil {
			continue
		}
		if c.tq > 3 || d.quant[c.tq] == nil {
			return fmt.Errorf("no quantisation table %d", c.tq)
		}
		c.quant = d.quant[c.tq]
	}
	return nil
}

// tables takes the Huffman tables that the scan needs.
func (s *scan) tables(d *decoder, i, dc, ac int) error {
	needDC := s.low == 0 && !s.refine
	needAC := s.high > 0
	for class, id := range []int{dc, ac} {
		if class == 0 && !needDC || class == 1 && !needAC {
			continue
		}
		if id > 3 || d.huff[class][id] == nil {
			return fmt.Errorf("no Huffman table %d", id)
		}
		t := d.huff[class][id]
		if err := t.derive(class == 0); err != nil {
			return err
		}
		if class == 0 {
			s.dc[i] = t
		} else {
			s.ac[i] = t
		}
	}
	return nil
}

// decode goes through the units of the scan: a block, where it has one
// component, else the blocks of an area of the picture.
func (s *scan) decode() error {
	across, down := ceil(s.frame.w, 8*s.frame.hmax), ceil(s.frame.h, 8*s.frame.vmax)
	if len(s.comps) == 1 {
		across, down = s.comps[0].bw, s.comps[0].bh
	}
	units, left, number := across*down, s.restart, 0
	for u := 0; u < units; {
		if s.restart == 0 {
			left = units
		} else if left == 0 {
			if err := s.bits.interval(number & 7); err != nil {
				return err
			}
			s.last, s.run = [4]int32{}, 0
			left, number = s.restart, number+1
		}
		n, err := 1, error(nil)
		if s.run > 0 {
			n = min(s.run, left, units-u)
			s.run -= n
			s.ended(s, u, n)
		} else {
			err = s.unit(u%across, u/across)
		}
		if s.bits.short() { // whatever the invented bits seemed to say
			return errShort
		}
		if err != nil {
			return err
		}
		u, left = u+n, left-n
	}
	return nil
}

func (s *scan) unit(x, y int) error {
	if len(s.comps) == 1 {
		return s.block(s, 0, x, y)
	}
	for i, c := range s.comps {
		for v := range c.v {
			for h := range c.h {
				if err := s.block(s, i, x*c.h+h, y*c.v+v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
