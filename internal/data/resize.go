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
)

// Resize returns an image of w×h pixels that equals Pillow's Image.resize:
// separable convolution, the filter widened when shrinking (so that fine detail
// does not alias), coefficients of 22 bits, 8-bit values between the passes. An
// image that has the size already is returned as it is.
func Resize(im *Image, w, h int, f Filter) *Image {
	if im.W == w && im.H == h {
		return im
	}
	if f == Nearest {
		return resizeNearest(im, w, h)
	}
	if int64(w)*int64(im.H) > MaxPixels && im.H > h { // a strip: the columns first, or the image between the passes is larger than either end
		im = Resize(im, im.W, h, f)
	}
	if im.W != w {
		out := &Image{w, im.H, make([]uint8, 3*w*im.H)}
		convolve(f, im.W, w, func(x, from int, k []int32) {
			for y := range im.H {
				src := im.Pix[3*(y*im.W+from):]
				r, g, b := int32(half), int32(half), int32(half)
				for i, c := range k {
					r += c * int32(src[3*i])
					g += c * int32(src[3*i+1])
					b += c * int32(src[3*i+2])
				}
				o := 3 * (y*w + x)
				out.Pix[o], out.Pix[o+1], out.Pix[o+2] = clip8(r), clip8(g), clip8(b)
			}
		})
		im = out
	}
	if im.H != h {
		out := &Image{w, h, make([]uint8, 3*w*h)}
		sums := make([]int32, 3*w)
		convolve(f, im.H, h, func(y, from int, k []int32) {
			for i := range sums {
				sums[i] = half
			}
			for j, c := range k {
				row := im.Pix[3*w*(from+j):][:len(sums)]
				for i, v := range row {
					sums[i] += c * int32(v)
				}
			}
			for i, s := range sums {
				out.Pix[3*w*y+i] = clip8(s)
			}
		})
		im = out
	}
	return im
}

const (
	coefBits = 32 - 8 - 2 // Pillow's PRECISION_BITS: 8 of the pixel, 2 of headroom
	half     = 1 << (coefBits - 1)
)

func clip8(v int32) uint8 { return uint8(min(max(v>>coefBits, 0), 255)) }

// convolve calls visit with the first source position and the coefficients of
// every output position.
func convolve(f Filter, in, out int, visit func(x, from int, k []int32)) {
	scale := float64(in) / float64(out)
	wide := max(scale, 1)
	support := f.support() * wide
	weights := make([]float64, 0, int(math.Ceil(support))*2+1)
	k := make([]int32, cap(weights))
	for x := range out {
		centre := (float64(x) + 0.5) * scale
		from := max(int(centre-support+0.5), 0)
		to := min(int(centre+support+0.5), in)
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
		visit(x, from, k[:len(weights)])
	}
}

func (f Filter) support() float64 {
	switch f {
	case Bicubic:
		return 2
	case Lanczos:
		return 3
	}
	return 1
}

// at is the filter's value at a distance.
func (f Filter) at(x float64) float64 {
	x = math.Abs(x)
	switch f {
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

func resizeNearest(im *Image, w, h int) *Image {
	out := &Image{w, h, make([]uint8, 3*w*h)}
	for y := range h {
		sy := min(int((float64(y)+0.5)*float64(im.H)/float64(h)), im.H-1)
		for x := range w {
			sx := min(int((float64(x)+0.5)*float64(im.W)/float64(w)), im.W-1)
			copy(out.Pix[3*(y*w+x):][:3], im.Pix[3*(sy*im.W+sx):])
		}
	}
	return out
}

// crop cuts a w×h rectangle out of an image.
func crop(im *Image, x0, y0, w, h int) *Image {
	if im.W == w && im.H == h {
		return im
	}
	out := &Image{w, h, make([]uint8, 3*w*h)}
	for y := range h {
		copy(out.Pix[3*w*y:3*w*(y+1)], im.Pix[3*((y0+y)*im.W+x0):])
	}
	return out
}
