package jpegrgb

import (
	"fmt"
	"math/bits"
)

// startProgressive prepares a scan of a band of coefficients (T.81, annex G).
// high is the position of the bit before in a refining scan. That scans follow
// each other sensibly is not asked for, as in libjpeg.
func (s *scan) startProgressive(before int) error {
	dc := s.low == 0
	if dc && s.high != 0 || !dc && (s.low > s.high || s.high > 63 || len(s.comps) != 1) ||
		s.refine && int(s.shift) != before-1 || s.shift > 13 {
		return fmt.Errorf("a scan of the coefficients %d to %d, bits %d and %d, is not allowed",
			s.low, s.high, before, s.shift)
	}
	for _, c := range s.comps {
		for k := s.low; k <= s.high; k++ {
			c.bits[k] = int(s.shift)
		}
	}
	switch {
	case dc && s.refine:
		s.block = (*scan).refineDC
	case dc:
		s.block = (*scan).firstDC
	case s.refine:
		s.block, s.ended = (*scan).refineAC, (*scan).refineEnded
	default:
		s.block, s.ended = (*scan).firstAC, func(*scan, int, int) {}
	}
	return nil
}

// at returns the index of a block, -1 outside of the picture.
func (c *component) at(x, y int) int {
	if x >= c.bw || y >= c.bh {
		return -1
	}
	return y*c.bw + x
}

func (s *scan) firstDC(i, x, y int) error {
	n := s.bits.symbol(s.dc[i])
	if n < 0 {
		return errData
	}
	if n > 0 {
		s.last[i] += s.bits.value(n)
	}
	c := s.comps[i]
	if at := c.at(x, y); at >= 0 {
		c.coef[64*at] = int16(s.last[i] << s.shift)
	}
	return nil
}

func (s *scan) refineDC(i, x, y int) error {
	if !s.bits.bit() {
		return nil
	}
	c := s.comps[i]
	if at := c.at(x, y); at >= 0 {
		c.coef[64*at] |= 1 << s.shift
	}
	return nil
}

// endRun reads for how many blocks behind this one the band is over too.
func (s *scan) endRun(r int) { s.run = 1<<r + int(s.bits.take(r)) - 1 }

func (s *scan) firstAC(_, x, y int) error {
	c := s.comps[0]
	at := c.at(x, y)
	coef, set := (*[64]int16)(c.coef[64*at:]), c.set[at]
	for k := s.low; k <= s.high; k++ {
		rs := s.bits.symbol(s.ac[0])
		if rs < 0 {
			return errData
		}
		r, n := rs>>4, rs&15
		if n == 0 {
			if r < 15 {
				s.endRun(r)
				break
			}
			k += 15
			continue
		}
		if k += r; k > s.high {
			return errData
		}
		v := int16(s.bits.value(n) << s.shift)
		coef[zigzag[k]] = v
		set &^= 1 << k
		if v != 0 {
			set |= 1 << k
		}
	}
	c.set[at] = set
	return nil
}

func (s *scan) refineAC(_, x, y int) error {
	c := s.comps[0]
	at := c.at(x, y)
	coef := (*[64]int16)(c.coef[64*at:])
	for k := s.low; k <= s.high; k++ {
		rs := s.bits.symbol(s.ac[0])
		if rs < 0 || rs&15 > 1 {
			return errData
		}
		zeros, v := rs>>4, int16(0)
		if rs&15 == 1 {
			v = -1 << s.shift
			if s.bits.bit() {
				v = 1 << s.shift
			}
		} else if zeros < 15 {
			s.endRun(zeros)
			s.correctFrom(at, k)
			return nil
		}
		for ; k <= s.high; k++ {
			if c.set[at]>>k&1 != 0 {
				s.correct(&coef[zigzag[k]])
			} else if zeros--; zeros < 0 {
				break
			}
		}
		if v != 0 {
			if k > s.high {
				return errData
			}
			coef[zigzag[k]] = v
			c.set[at] |= 1 << k
		}
	}
	return nil
}

// refineEnded corrects what blocks without new coefficients had before.
func (s *scan) refineEnded(from, n int) {
	band := uint64(1<<(s.high+1)-1) >> s.low << s.low
	for i, set := range s.comps[0].set[from : from+n] {
		if set&band != 0 {
			s.correctFrom(from+i, s.low)
		}
	}
}

// correctFrom corrects the coefficients of a block from zigzag index k.
func (s *scan) correctFrom(at, k int) {
	c := s.comps[0]
	band := c.set[at] >> k << k & (1<<(s.high+1) - 1)
	for ; band != 0; band &= band - 1 {
		s.correct(&c.coef[64*at+int(zigzag[bits.TrailingZeros64(band)])])
	}
}

// correct reads a bit of a coefficient that is not 0.
func (s *scan) correct(v *int16) {
	if !s.bits.bit() {
		return
	}
	if one := int16(1) << s.shift; *v&one == 0 {
		if *v >= 0 {
			*v += one
		} else {
			*v -= one
		}
	}
}

// transform turns the coefficients of a progressive file into samples.
func (f *frame) transform() {
	smooth := f.smoothing()
	for _, c := range f.comps {
		c.plane = make([]uint8, 64*c.bw*c.bh)
		if smooth {
			c.transformSmooth()
		} else {
			c.transform()
		}
		c.coef, c.set = nil, nil
	}
}

func (c *component) transform() {
	stride := 8 * c.bw
	for y := range c.bh {
		for x := range c.bw {
			at := y*c.bw + x
			dst := c.plane[8*(y*stride+x):]
			if c.set[at] == 0 {
				idctFlat(dst, stride, c.coef[64*at], c.quant)
			} else {
				idct(dst, stride, (*[64]int16)(c.coef[64*at:]), c.quant)
			}
		}
	}
}
