package data

import "math"

// Filter is a resampling filter; the numbers are Pillow's, which
// preprocessor_config.json uses.
type Filter int

// The filters.
const (
	Nearest  Filter = 0
	Lanczos  Filter = 1
	Bilinear Filter = 2
	Bicubic  Filter = 3
	Box      Filter = 4
	Hamming  Filter = 5
)

// Resize returns an image of w×h pixels that equals Pillow's Image.resize:
// separable convolution, the filter widened when shrinking (so that fine detail
// does not alias), coefficients of 22 bits, 8-bit values between the passes. An
// image that has the size already is returned as it is.
func Resize(im *Image, w, h int, f Filter) *Image { return resizePart(im, w, h, f, rect{0, 0, w, h}) }

// rect is what lies at x0 ≤ x < x1 and y0 ≤ y < y1.
type rect struct{ x0, y0, x1, y1 int }

// resizePart is the part r of Resize(im, w, h, f); the rest is not made.
func resizePart(im *Image, w, h int, f Filter, r rect) *Image {
	if f == Nearest {
		return resizeNearest(im, w, h, r)
	}
	top, bottom := r.y0, r.y1 // the rows of im that the part is made of
	if im.Height != h {
		top, _ = f.span(im.Height, h, r.y0)
		_, bottom = f.span(im.Height, h, r.y1-1)
	}
	// A strip: the columns first, or the image between the passes is larger than
	// either end.
	if int64(r.x1-r.x0)*int64(bottom-top) > MaxPixels && im.Height > h {
		return resizeRows(resizeColumns(im, im.Height, h, f, r.y0, r.y1, 0), w, f, r.x0, r.x1, 0, r.y1-r.y0)
	}
	return resizeColumns(resizeRows(im, w, f, r.x0, r.x1, top, bottom), im.Height, h, f, r.y0, r.y1, top)
}

// resizeRows resizes the rows from top to bottom to w pixels, of which it makes
// those from x0 to x1.
func resizeRows(im *Image, w int, f Filter, x0, x1, top, bottom int) *Image {
	if im.Width == w {
		return crop(im, x0, top, x1-x0, bottom-top)
	}
	out := &Image{x1 - x0, bottom - top, make([]uint8, 3*(x1-x0)*(bottom-top))}
	convolve(f, im.Width, w, x0, x1, func(x, from int, k []int32) {
		for y := range out.Height {
			src := im.Pix[3*((top+y)*im.Width+from):]
			r, g, b := int32(half), int32(half), int32(half)
			for i, c := range k {
				r += c * int32(src[3*i])
				g += c * int32(src[3*i+1])
				b += c * int32(src[3*i+2])
			}
			o := 3 * (y*out.Width + x)
			out.Pix[o], out.Pix[o+1], out.Pix[o+2] = clip8(r), clip8(g), clip8(b)
		}
	})
	return out
}

// resizeColumns resizes columns of height in to h pixels, of which it makes
// those from y0 to y1; im holds their rows from top on.
func resizeColumns(im *Image, in, h int, f Filter, y0, y1, top int) *Image {
	if in == h {
		return crop(im, 0, y0-top, im.Width, y1-y0)
	}
	out := &Image{im.Width, y1 - y0, make([]uint8, 3*im.Width*(y1-y0))}
	sums := make([]int32, 3*im.Width)
	convolve(f, in, h, y0, y1, func(y, from int, k []int32) {
		for i := range sums {
			sums[i] = half
		}
		for j, c := range k {
			row := im.Pix[len(sums)*(from-top+j):][:len(sums)]
			for i, v := range row {
				sums[i] += c * int32(v)
			}
		}
		for i, s := range sums {
			out.Pix[len(sums)*y+i] = clip8(s)
		}
	})
	return out
}

const (
	coefBits = 32 - 8 - 2 // Pillow's PRECISION_BITS: 8 of the pixel, 2 of headroom
	half     = 1 << (coefBits - 1)
)

func clip8(v int32) uint8 { return uint8(min(max(v>>coefBits, 0), 255)) }

// convolve calls visit with the first source position and the coefficients of
// the output positions from lo to hi, which it counts from 0.
func convolve(f Filter, in, out, lo, hi int, visit func(x, from int, k []int32)) {
	scale := float64(in) / float64(out)
	wide := max(scale, 1)
	weights := make([]float64, 0, int(math.Ceil(f.support()*wide))*2+1)
	k := make([]int32, cap(weights))
	for x := lo; x < hi; x++ {
		centre := (float64(x) + 0.5) * scale
		from, to := f.span(in, out, x)
		weights = weights[:0]
		sum := 0.0
		for i := from; i < to; i++ {
			w := f.at((float64(i) - centre + 0.5) * (1 / wide))
			weights = append(weights, w)
			sum += w
		}
		for i, w := range weights {
			if sum != 0 {
				w /= sum
			}
			k[i] = int32(math.Copysign(0.5, w) + w*(1<<coefBits))
		}
		visit(x-lo, from, k[:len(weights)])
	}
}

// span is the source positions from ≤ i < to that output position x is made of.
func (f Filter) span(in, out, x int) (from, to int) {
	scale := float64(in) / float64(out)
	centre, support := (float64(x)+0.5)*scale, f.support()*max(scale, 1)
	return max(int(centre-support+0.5), 0), min(int(centre+support+0.5), in)
}

func (f Filter) support() float64 {
	switch f {
	case Box:
		return 0.5
	case Bicubic:
		return 2
	case Lanczos:
		return 3
	}
	return 1
}

// at is the filter's value at a distance.
func (f Filter) at(x float64) float64 {
	if f == Box { // the one filter with an end that counts and one that does not
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	}
	x = math.Abs(x)
	switch f {
	case Hamming:
		if x < 1 {
			return sinc(x) * (0.54 + 0.46*math.Cos(math.Pi*x))
		}
		return 0
	case Bicubic: // Keys, 1981, with a = -1/2
		const a = -0.5
		switch {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
		return 0
	case Lanczos:
		if x < 3 {
			return sinc(x) * sinc(x/3)
		}
		return 0
	}
	return max(1-x, 0)
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

func resizeNearest(im *Image, w, h int, r rect) *Image {
	out := &Image{r.x1 - r.x0, r.y1 - r.y0, make([]uint8, 3*(r.x1-r.x0)*(r.y1-r.y0))}
	columns, rows := nearestAt(im.Width, w, r.x0, r.x1), nearestAt(im.Height, h, r.y0, r.y1)
	for y, sy := range rows {
		for x, sx := range columns {
			copy(out.Pix[3*(y*out.Width+x):][:3], im.Pix[3*(sy*im.Width+sx):])
		}
	}
	return out
}

// nearestSums is the largest output whose positions are added up one by one.
const nearestSums = 1 << 20

// nearestAt is the source position of the output positions from lo to hi. Pillow
// adds the step up, and where a position falls on the edge of two pixels the
// rounding of the sums decides; past nearestSums, where that takes long, the
// product does.
func nearestAt(in, out, lo, hi int) []int {
	at := make([]int, hi-lo)
	step := float64(in) / float64(out)
	if out > nearestSums {
		for i := range at {
			at[i] = min(int((float64(lo+i)+0.5)*step), in-1)
		}
		return at
	}
	pos := step * 0.5
	for x := range hi {
		if x >= lo {
			at[x-lo] = min(int(pos), in-1)
		}
		pos += step
	}
	return at
}

// crop cuts a w×h rectangle out of an image.
func crop(im *Image, x0, y0, w, h int) *Image {
	if im.Width == w && im.Height == h {
		return im
	}
	out := &Image{w, h, make([]uint8, 3*w*h)}
	for y := range h {
		copy(out.Pix[3*w*y:3*w*(y+1)], im.Pix[3*((y0+y)*im.Width+x0):])
	}
	return out
}
