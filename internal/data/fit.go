package data

import (
	"fmt"
	"math"

	"github.com/flops-vit/flops/internal/uierr"
)

// Scale says to what size an image is brought: Width×Height; or, with Width 0, so
// that its shorter side has Shortest pixels; or, with Cover, so that it keeps its
// shape and is nowhere smaller than Width×Height, or with Contain nowhere larger; or,
// with Width and Shortest 0, to none: the image keeps the size that it has.
type Scale struct {
	Width, Height int
	Cover         bool
	Contain       bool
	Shortest      int
	Longest       int // at most so many pixels on the longer side, 0: no limit
	Filter        Filter
}

func (s Scale) check() error {
	for _, n := range []int{s.Width, s.Height, s.Shortest, s.Longest} {
		if n < 0 || n > 1<<16 {
			return uierr.New(fmt.Sprintf("images resized to %d pixels", n),
				"correct size in preprocessor_config.json: from 1 to 65536 pixels")
		}
	}
	if s.Filter < Nearest || s.Filter > Hamming {
		return uierr.New(fmt.Sprintf("there is no resampling filter %d", s.Filter),
			"use 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box or 5 Hamming")
	}
	return nil
}

// of is the size that an image of w×h pixels gets, rounded as transformers does
// (get_resize_output_image_size, get_size_with_aspect_ratio).
func (s Scale) of(w, h int) (int, int) {
	switch {
	case s.Width > 0 && (s.Cover || s.Contain):
		r := min(float64(w)/float64(s.Width), float64(h)/float64(s.Height))
		if s.Contain {
			r = max(float64(w)/float64(s.Width), float64(h)/float64(s.Height))
		}
		return int(math.RoundToEven(float64(w) / r)), int(math.RoundToEven(float64(h) / r))
	case s.Width > 0:
		return s.Width, s.Height
	case s.Shortest == 0:
		return w, h
	}
	short, size := float64(min(w, h)), float64(s.Shortest)
	edge := s.Shortest
	if long := float64(max(w, h)); s.Longest > 0 && long/short*size > float64(s.Longest) {
		size = float64(s.Longest) * short / long
		edge = max(1, int(math.RoundToEven(size)))
	}
	// The longer side follows the size before it was rounded.
	longer := func(n int) int { return max(1, int(size*float64(n)/short)) }
	switch {
	case min(w, h) == edge && s.Longest > 0:
		return w, h
	case w < h:
		return edge, longer(h)
	}
	return longer(w), edge
}

// Fit is the deterministic part in 8 bits: the image at Columns()×Size. The error is
// a *uierr.Error that gives the image this name: it has another size, and nothing
// changes it.
func (t *Transform) Fit(im *Image, name string) (*Image, error) {
	if t.Channels == 1 { // before it is resized, as pictures of PIL's mode "L" are
		im = grey(im)
	}
	w, h := t.Scale.of(im.Width, im.Height)
	if t.Cut {
		return cutMiddle(im, w, h, t.Scale.Filter, t.Columns(), t.Size, t.CutEven, t.Around), nil
	}
	if w != t.Columns() || h != t.Size {
		return nil, uierr.New(fmt.Sprintf("%s: %d×%d pixels; the model takes %d×%d, and its preprocessor does not resize",
			name, im.Width, im.Height, t.Columns(), t.Size),
			"give images of that size, or set do_resize in preprocessor_config.json")
	}
	return Resize(im, w, h, t.Scale.Filter), nil
}

// grey is an image whose three channels are its luminance.
func grey(im *Image) *Image {
	out := &Image{im.Width, im.Height, make([]uint8, len(im.Pix))}
	for i := 0; i < len(im.Pix); i += 3 {
		l := luminance(im.Pix[i], im.Pix[i+1], im.Pix[i+2])
		out.Pix[i], out.Pix[i+1], out.Pix[i+2] = l, l, l
	}
	return out
}

// cutMiddle cuts wide×high pixels out of the middle of Resize(im, w, h, f), with
// a colour around what is smaller. What is cut away is never made. An odd rest is
// halved downwards, or to the even number.
func cutMiddle(im *Image, w, h int, f Filter, wide, high int, even bool, around [3]uint8) *Image {
	half := floorHalf
	if even {
		half = evenHalf
	}
	x, y := half(w-wide), half(h-high)
	r := rect{max(x, 0), max(y, 0), min(x+wide, w), min(y+high, h)}
	part := resizePart(im, w, h, f, r)
	if part.Width == wide && part.Height == high {
		return part
	}
	out := &Image{wide, high, make([]uint8, 3*wide*high)}
	for i := range out.Pix {
		out.Pix[i] = around[i%3]
	}
	for row := range part.Height {
		copy(out.Pix[3*((r.y0-y+row)*wide+r.x0-x):], part.Pix[3*row*part.Width:][:3*part.Width])
	}
	return out
}

// floorHalf is n/2, rounded down below 0 too.
func floorHalf(n int) int { return (n - n&1) / 2 }

// evenHalf is n/2, rounded to the even number where it lies between two; below 0,
// where torchvision pads, to 0.
func evenHalf(n int) int {
	if n < 0 {
		return n / 2
	}
	return int(math.RoundToEven(float64(n) / 2))
}
