package jpegrgb

import "errors"

var errData = errors.New("jpegrgb: damaged image data")

// huffman is a code table: an 8-bit look-ahead and, for longer codes, the
// canonical ranges of each length (ITU-T T.81, annex F.2.2.3).
type huffman struct {
	look   [256]uint16 // length<<8 | value, 0 where the code is longer
	min    [17]int32
	max    [17]int32 // -1: no code of that length
	first  [17]int32
	values []uint8
}

func (d *decoder) tables(b []byte) error {
	for len(b) > 0 {
		if len(b) < 17 || b[0]>>4 > 1 || b[0]&15 > 3 {
			return errors.New("jpegrgb: bad Huffman table")
		}
		n := 0
		for _, c := range b[1:17] {
			n += int(c)
		}
		if n > 256 || len(b) < 17+n {
			return errors.New("jpegrgb: bad Huffman table")
		}
		t := &huffman{values: b[17 : 17+n]}
		code, k := int32(0), int32(0)
		for l := 1; l <= 16; l++ {
			count := int32(b[l])
			t.min[l], t.max[l], t.first[l] = code, code+count-1, k
			if count == 0 {
				t.max[l] = -1
			}
			if code+count > 1<<l {
				return errors.New("jpegrgb: bad Huffman table")
			}
			for j := int32(0); j < count && l <= 8; j++ {
				for f := int32(0); f < 1<<(8-l); f++ {
					t.look[(code+j)<<(8-l)|f] = uint16(l)<<8 | uint16(t.values[k+j])
				}
			}
			code, k = (code+count)<<1, k+count
		}
		d.huff[b[0]>>4][b[0]&15] = t
		b = b[17+n:]
	}
	return nil
}

// bits reads entropy-coded bits; at the end of the data it goes on with zeros,
// as libjpeg does, and remembers that it did.
type bits struct {
	b     []byte
	at    int
	acc   uint32
	n     int
	spent int // bytes invented past the end
}

func (r *bits) fill() {
	for r.n <= 24 {
		var v byte
		switch {
		case r.at >= len(r.b):
			r.spent++
		case r.b[r.at] != 0xff:
			v = r.b[r.at]
			r.at++
		case r.at+1 < len(r.b) && r.b[r.at+1] == 0:
			v = 0xff
			r.at += 2
		default: // a marker
			r.spent++
		}
		r.acc |= uint32(v) << (24 - r.n)
		r.n += 8
	}
}

func (r *bits) take(n int) int32 {
	if n == 0 {
		return 0
	}
	if r.n < n {
		r.fill()
	}
	v := r.acc >> (32 - n)
	r.acc <<= n
	r.n -= n
	return int32(v)
}

// extend is the value of s bits v (T.81, F.2.2.1).
func extend(v int32, s int) int32 {
	if s > 0 && v < 1<<(s-1) {
		return v - 1<<s + 1
	}
	return v
}

func (r *bits) symbol(t *huffman) (uint8, error) {
	if r.n < 16 {
		r.fill()
	}
	if e := t.look[r.acc>>24]; e != 0 {
		n := int(e >> 8)
		r.acc <<= n
		r.n -= n
		return uint8(e), nil
	}
	for l := 9; l <= 16; l++ {
		code := int32(r.acc >> (32 - l))
		if code <= t.max[l] && code >= t.min[l] {
			r.acc <<= l
			r.n -= l
			return t.values[t.first[l]+code-t.min[l]], nil
		}
	}
	return 0, errData
}

// scan decodes the components that a scan header names and returns how many
// bytes of entropy-coded data it read.
func (d *decoder) scan(head, data []byte) (int, error) {
	if d.comps == nil || len(head) < 1 || len(head) < 4+2*int(head[0]) || head[0] == 0 {
		return 0, errors.New("jpegrgb: bad scan header")
	}
	var in []*component
	for i := range int(head[0]) {
		var c *component
		for _, k := range d.comps {
			if k.id == int(head[1+2*i]) {
				c = k
			}
		}
		if c == nil || d.scanned[c.id] {
			return 0, errors.New("jpegrgb: bad scan header")
		}
		d.scanned[c.id] = true
		c.td, c.ta, c.dc = int(head[2+2*i]>>4), int(head[2+2*i]&15), 0
		if c.td > 3 || c.ta > 3 || d.huff[0][c.td] == nil || d.huff[1][c.ta] == nil {
			return 0, errors.New("jpegrgb: missing Huffman table")
		}
		in = append(in, c)
	}
	r := &bits{b: data}
	units := ceil(d.w, 8*d.hm) * ceil(d.h, 8*d.vm)
	if len(in) == 1 {
		units = in[0].width * in[0].heightB
	}
	for u := range units {
		if d.restart > 0 && u > 0 && u%d.restart == 0 {
			if err := r.resync(); err != nil {
				return 0, err
			}
			for _, c := range in {
				c.dc = 0
			}
		}
		if err := d.unit(r, in, u); err != nil {
			return 0, err
		}
		if r.spent > 64 {
			return 0, errors.New("jpegrgb: file ends before its image does")
		}
	}
	return r.at, nil
}

// resync moves past a restart marker.
func (r *bits) resync() error {
	r.acc, r.n = 0, 0
	if r.at+1 >= len(r.b) || r.b[r.at] != 0xff || r.b[r.at+1] < 0xd0 || r.b[r.at+1] > 0xd7 {
		return errData
	}
	r.at += 2
	return nil
}

// unit decodes one MCU: every block of every component, or one block where the
// scan has a single component.
func (d *decoder) unit(r *bits, in []*component, u int) error {
	if len(in) == 1 {
		c := in[0]
		return d.block(r, c, u%c.width, u/c.width)
	}
	across := ceil(d.w, 8*d.hm)
	for _, c := range in {
		for v := range c.v {
			for h := range c.h {
				if err := d.block(r, c, u%across*c.h+h, u/across*c.v+v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (d *decoder) block(r *bits, c *component, bx, by int) error {
	var z [64]int32
	q := &d.quant[c.tq]
	s, err := r.symbol(d.huff[0][c.td])
	if err != nil || s > 15 {
		return errData
	}
	c.dc += int(extend(r.take(int(s)), int(s)))
	z[0] = int32(c.dc) * q[0]
	for k := 1; k < 64; k++ {
		s, err := r.symbol(d.huff[1][c.ta])
		if err != nil {
			return err
		}
		n := int(s & 15)
		if n == 0 {
			if s != 0xf0 {
				break
			}
			k += 15
			continue
		}
		k += int(s >> 4)
		if k > 63 {
			return errData
		}
		z[zigzag[k]] = extend(r.take(n), n) * q[zigzag[k]]
	}
	idct(c.plane[8*(by*8*c.bw+bx):], 8*c.bw, &z)
	return nil
}
