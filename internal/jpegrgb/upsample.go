package jpegrgb

// upsampler brings one component to the picture's size, a row at a time. The
// common ratios are interpolated with a triangle filter ("fancy upsampling",
// libjpeg's jdsample.c), where Go's own colour model repeats the nearest sample;
// others are repeated by libjpeg too.
type upsampler struct {
	c    *component
	h, v int // pixels a sample is wide and high
	row  []uint8
	sum  []int32
	fill func(u *upsampler, y int) []uint8
}

// newUpsampler chooses as libjpeg does: a component of two columns or fewer is
// not interpolated across.
func newUpsampler(f *frame, c *component) *upsampler {
	u := &upsampler{c: c, h: f.hmax / c.h, v: f.vmax / c.v}
	across := c.w > 2
	switch {
	case u.h == 1 && u.v == 1:
		u.fill = (*upsampler).whole
		return u
	case u.h == 2 && u.v == 1 && across:
		u.fill = (*upsampler).wide
	case u.h == 1 && u.v == 2:
		u.fill = (*upsampler).tall
	case u.h == 2 && u.v == 2 && across:
		u.fill = (*upsampler).both
		u.sum = make([]int32, c.w)
	default:
		u.fill = (*upsampler).repeat
	}
	u.row = make([]uint8, c.w*u.h)
	return u
}

// samples returns a row of the component without its padding.
func (u *upsampler) samples(y int) []uint8 {
	at := y * 8 * u.c.bw
	return u.c.plane[at : at+u.c.w]
}

// far is the sample row on the other side of pixel row y, where a sample is two
// pixels high.
func (u *upsampler) far(y int) []uint8 {
	if y%2 == 0 {
		return u.samples(max(0, y/2-1))
	}
	return u.samples(min(u.c.rows-1, y/2+1))
}

func (u *upsampler) whole(y int) []uint8 { return u.samples(y) }

func (u *upsampler) repeat(y int) []uint8 {
	at := 0
	for _, v := range u.samples(y / u.v) {
		for range u.h {
			u.row[at] = v
			at++
		}
	}
	return u.row
}

// wide weighs each sample 3/4 and its neighbour on the pixel's side 1/4. Halves
// are rounded up and down by turns, as in the others.
func (u *upsampler) wide(y int) []uint8 {
	in := u.samples(y)
	last := len(in) - 1
	row := u.row[:2*len(in)]
	row[0], row[1] = in[0], uint8((3*int32(in[0])+int32(in[1])+2)>>2)
	for x := 1; x < last; x++ {
		s := 3 * int32(in[x])
		row[2*x] = uint8((s + int32(in[x-1]) + 1) >> 2)
		row[2*x+1] = uint8((s + int32(in[x+1]) + 2) >> 2)
	}
	row[2*last], row[2*last+1] = uint8((3*int32(in[last])+int32(in[last-1])+1)>>2), in[last]
	return row
}

func (u *upsampler) tall(y int) []uint8 {
	near, far := u.samples(y/2), u.far(y)
	bias := int32(1 + y%2)
	row := u.row[:len(near)]
	far = far[:len(near)]
	for x, v := range near {
		row[x] = uint8((3*int32(v) + int32(far[x]) + bias) >> 2)
	}
	return row
}

// both weighs 9/16, 3/16, 3/16 and 1/16.
func (u *upsampler) both(y int) []uint8 {
	near, far := u.samples(y/2), u.far(y)
	sum := u.sum[:len(near)]
	far = far[:len(near)]
	for x, v := range near {
		sum[x] = 3*int32(v) + int32(far[x])
	}
	last := len(sum) - 1
	row := u.row[:2*len(sum)]
	row[0], row[1] = uint8((4*sum[0]+8)>>4), uint8((3*sum[0]+sum[1]+7)>>4)
	for x := 1; x < last; x++ {
		s := 3 * sum[x]
		row[2*x] = uint8((s + sum[x-1] + 8) >> 4)
		row[2*x+1] = uint8((s + sum[x+1] + 7) >> 4)
	}
	row[2*last], row[2*last+1] = uint8((3*sum[last]+sum[last-1]+8)>>4), uint8((4*sum[last]+7)>>4)
	return row
}
