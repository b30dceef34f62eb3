package jpegrgb

import "fmt"

// startSequential prepares a scan of whole blocks. Its band is not looked at:
// there are encoders that write zeros.
func (s *scan) startSequential() error {
	for _, c := range s.comps {
		if c.bits[0] == 0 {
			return fmt.Errorf("a second scan of component %d", c.id)
		}
		c.bits[0] = 0
	}
	s.low, s.high, s.refine, s.shift = 0, 63, false, 0
	s.block = (*scan).wholeBlock
	return nil
}

// wholeBlock decodes all coefficients of a block and transforms them.
func (s *scan) wholeBlock(i, x, y int) error {
	r := &s.bits
	s.coef = [64]int16{}
	n := r.symbol(s.dc[i])
	if n < 0 {
		return errData
	}
	if n > 0 {
		s.last[i] += r.value(n)
	}
	s.coef[0] = int16(s.last[i])
	ac, flat := s.ac[i], true
	for k := 1; k < 64; k++ {
		rs := r.symbol(ac)
		if rs < 0 {
			return errData
		}
		n := rs & 15
		if n == 0 {
			if rs != 0xf0 {
				break
			}
			k += 15
			continue
		}
		if k += rs >> 4; k > 63 {
			return errData
		}
		s.coef[zigzag[k]&63] = int16(r.value(n))
		flat = false
	}
	c := s.comps[i]
	if x >= c.bw || y >= c.bh {
		return nil
	}
	stride := 8 * c.bw
	dst := c.plane[8*(y*stride+x):]
	if flat {
		idctFlat(dst, stride, s.coef[0], c.quant)
	} else {
		idct(dst, stride, &s.coef, c.quant)
	}
	return nil
}
