package jpegrgb

// A progressive file may end before it has given the AC coefficients in full.
// libjpeg then guesses the first nine of each block from the means of the 25
// blocks around it, so that blocks do not show (jdcoefct.c; T.81, K.8, has a
// smaller window). The weights and the rounding here are those of
// libjpeg-turbo 2.1, and so is its habit to see two rows above or below only
// where they belong to other units.

// estimate is how one coefficient is guessed: the sum of the window's means,
// each times its weight, times the mean's quantiser, over 256 times its own.
type estimate struct {
	at     int // in natural order
	weight [25]int32
}

// guesses are the estimates with their zigzag index, 1 to 9: near where some AC
// coefficients of the component are known, wide, with all nine, where none is.
var near = []estimate{
	{1, window(11, -7, 50, 0, -50, 7)},
	{8, [25]int32{2: -7, 7: 50, 17: -50, 22: 7}},
	{16, [25]int32{2: -1, 7: 13, 12: -24, 17: 13, 22: -1}},
	{9, [25]int32{1: -1, 3: 1, 5: -1, 6: 10, 8: -10, 9: 1, 15: 1, 16: -10, 18: 10, 19: -1, 21: 1, 23: -1}},
	{2, window(11, -1, 13, -24, 13, -1)},
}

var wide = []estimate{
	{1, [25]int32{
		-1, -1, 0, 1, 1,
		-3, 13, 0, -13, 3,
		-3, 38, 0, -38, 3,
		-3, 13, 0, -13, 3,
		-1, -1, 0, 1, 1,
	}},
	{8, [25]int32{
		-1, -3, -3, -3, -1,
		-1, 13, 38, 13, -1,
		0, 0, 0, 0, 0,
		1, -13, -38, -13, 1,
		1, 3, 3, 3, 1,
	}},
	{16, [25]int32{2: 1, 6: 2, 7: 7, 8: 2, 11: -5, 12: -14, 13: -5, 16: 2, 17: 7, 18: 2, 22: 1}},
	{9, [25]int32{0: -1, 4: 1, 6: 9, 8: -9, 16: -9, 18: 9, 20: 1, 24: -1}},
	{2, [25]int32{6: 2, 7: -5, 8: 2, 10: 1, 11: 7, 12: -14, 13: 7, 14: 1, 16: 2, 17: -5, 18: 2}},
	{3, [25]int32{6: 1, 8: -1, 11: 2, 13: -2, 16: 1, 18: -1}},
	{10, [25]int32{6: 1, 7: -3, 8: 1, 16: -1, 17: 3, 18: -1}},
	{17, [25]int32{6: 1, 8: -1, 11: -3, 13: 3, 16: 1, 18: -1}},
	{24, [25]int32{6: 1, 7: 2, 8: 1, 16: -1, 17: -2, 18: -1}},
}

// mean replaces the block's own mean where no AC coefficient is known.
var mean = [25]int32{
	-2, -6, -8, -6, -2,
	-6, 6, 42, 6, -6,
	-8, 42, 152, 42, -8,
	-6, 6, 42, 6, -6,
	-2, -6, -8, -6, -2,
}

// window has weights for one row of five, from an index.
func window(from int, v ...int32) (w [25]int32) {
	copy(w[from-1:], v)
	return w
}

// smoothing says whether the file leaves some of those coefficients open. The
// means must be known for every component.
func (f *frame) smoothing() bool {
	open := false
	for _, c := range f.comps {
		for k := range 10 {
			if c.quant[zigzag[k]] == 0 || k == 0 && c.bits[0] < 0 {
				return false
			}
			open = open || k > 0 && c.bits[k] != 0
		}
	}
	return open
}

// guess is libjpeg's division, which rounds away from 0 at a half.
func guess(sum, q0, q int64) int64 {
	num := sum * q0
	if num < 0 {
		return -((q<<7 - num) / (q << 8))
	}
	return (q<<7 + num) / (q << 8)
}

// transformSmooth is transform with guesses. A row of units has c.v block rows.
func (c *component) transformSmooth() {
	estimates := wide
	for k := 1; k < 10; k++ {
		if c.bits[k] >= 0 {
			estimates = near
		}
	}
	stride := 8 * c.bw
	for y := range c.bh {
		rows := c.around(y)
		var dc [25]int32 // the window, row by row
		for r, at := range rows {
			for i := range 5 {
				dc[5*r+i] = int32(c.coef[64*at*c.bw])
			}
		}
		for x := range c.bw {
			for r, at := range rows {
				if x == 0 && c.bw > 1 {
					dc[5*r+3] = int32(c.coef[64*(at*c.bw+1)])
				}
				if x+2 < c.bw {
					dc[5*r+4] = int32(c.coef[64*(at*c.bw+x+2)])
				}
			}
			block := [64]int16(c.coef[64*(y*c.bw+x):])
			c.estimate(&block, &dc, estimates)
			idct(c.plane[8*(y*stride+x):], stride, &block, c.quant)
			for r := range 5 {
				copy(dc[5*r:5*r+4], dc[5*r+1:5*r+5])
			}
		}
	}
}

// around returns the rows of blocks two above to two below one.
func (c *component) around(y int) [5]int {
	unit, last := y/c.v, (c.bh-1)/c.v
	in, height := y%c.v, c.v
	if unit == last {
		height = c.bh - unit*c.v
	}
	rows := [5]int{y, y, y, y, y}
	if y > 0 {
		rows[0], rows[1] = y-1, y-1
	}
	if in > 1 || unit > 1 {
		rows[0] = y - 2
	}
	if in < height-1 || unit < last {
		rows[3], rows[4] = y+1, y+1
	}
	if in < height-2 || unit+1 < last {
		rows[4] = y + 2
	}
	return rows
}

// estimate fills in the coefficients that are 0 and not known in full.
func (c *component) estimate(block *[64]int16, dc *[25]int32, estimates []estimate) {
	q0 := int64(c.quant[0])
	for i, e := range estimates {
		left := c.bits[i+1]
		if left == 0 || block[e.at] != 0 {
			continue
		}
		v := guess(dot(dc, &e.weight), q0, int64(c.quant[e.at]))
		if most := int64(1)<<max(left, 0) - 1; left > 0 {
			v = min(max(v, -most), most)
		}
		block[e.at] = int16(v)
	}
	if len(estimates) == len(wide) {
		block[0] = int16(guess(dot(dc, &mean), q0, q0))
	}
}

func dot(dc, weight *[25]int32) (sum int64) {
	for i, w := range weight {
		sum += int64(w) * int64(dc[i])
	}
	return sum
}
