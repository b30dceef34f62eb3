package jpegrgb

// encScan turns the coefficients of some components into tokens.
type encScan struct {
	e             *encoder
	comps         []*encComponent
	dc, ac        []int // tables
	low, high     int
	before, shift int
	last          [4]int
	out           []token

	run     int     // blocks whose band ended, not written yet
	pending []token // their correction bits
}

// tokens returns the tokens of each restart interval.
func (s *encScan) tokens() (intervals [][]token) {
	across, down := ceil(s.e.w, 8*s.e.hmax), ceil(s.e.h, 8*s.e.vmax)
	if len(s.comps) == 1 {
		across, down = s.comps[0].bw, s.comps[0].bh
	}
	for u := range across * down {
		if s.e.restart > 0 && u > 0 && u%s.e.restart == 0 {
			s.flush()
			intervals = append(intervals, s.out)
			s.out, s.last = nil, [4]int{}
		}
		if c := s.comps[0]; len(s.comps) == 1 {
			s.block(0, &c.coef[u/across*c.stride+u%across])
			continue
		}
		for i, c := range s.comps {
			for b := range c.h * c.v {
				y, x := u/across*c.v+b/c.h, u%across*c.h+b%c.h
				s.block(i, &c.coef[y*c.stride+x])
			}
		}
	}
	s.flush()
	return append(intervals, s.out)
}

func (s *encScan) block(i int, coef *[64]int) {
	if s.low == 0 {
		if s.before > 0 {
			s.out = append(s.out, token{raw: true, n: 1, value: uint32(coef[0]>>s.shift) & 1})
			return
		}
		v := coef[0] >> s.shift
		n, value := size(v - s.last[i])
		s.last[i] = v
		s.out = append(s.out, token{class: 0, table: s.dc[i], symbol: byte(n), n: n, value: value})
	}
	if s.high > 0 {
		s.band(i, coef)
	}
}

// at is a coefficient without the bits of later scans.
func at(v int, shift int) int {
	if v < 0 {
		return -(-v >> shift)
	}
	return v >> shift
}

// band encodes AC coefficients, of a first or of a refining scan.
func (s *encScan) band(i int, coef *[64]int) {
	var body, corrections []token
	symbol := func(v byte, n int, value uint32) {
		body = append(body, token{class: 1, table: s.ac[i], symbol: v, n: n, value: value})
	}
	low := max(1, s.low)
	last, zeros := low-1, 0 // last is where the last new coefficient is
	for k := low; k <= s.high; k++ {
		if v := at(coef[k], s.shift); v != 0 && (s.before == 0 || v == 1 || v == -1) {
			last = k
		}
	}
	for k := low; k <= s.high; k++ {
		v := at(coef[k], s.shift)
		switch {
		case s.before > 0 && (v > 1 || v < -1):
			corrections = append(corrections, token{raw: true, n: 1, value: uint32(max(v, -v)) & 1})
			continue
		case v == 0 || k > last:
			if zeros++; zeros == 16 && k < last {
				symbol(0xf0, 0, 0)
				body, corrections, zeros = append(body, corrections...), nil, 0
			}
			continue
		}
		n, value := size(v)
		if s.before > 0 && v < 0 {
			value = 0
		}
		symbol(byte(zeros<<4|n), n, value)
		body, corrections, zeros = append(body, corrections...), nil, 0
	}
	if len(body) > 0 || s.e.IntN(20) == 0 {
		s.flush()
		s.out = append(s.out, body...)
	}
	if last == s.high {
		return
	}
	if !s.e.progressive {
		s.out = append(s.out, token{class: 1, table: s.ac[i]})
		return
	}
	s.run++
	s.pending = append(s.pending, corrections...)
}

// flush writes the run of ended bands.
func (s *encScan) flush() {
	if s.run == 0 {
		return
	}
	n := 0
	for s.run>>n > 1 {
		n++
	}
	s.out = append(s.out, token{class: 1, table: s.ac[0], symbol: byte(n << 4), n: n, value: uint32(s.run - 1<<n)})
	s.out = append(s.out, s.pending...)
	s.run, s.pending = 0, nil
}
