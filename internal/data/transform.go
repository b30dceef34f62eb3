package data

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// Transform makes an image the input of a model: resize to Scale and cut the
// centre, then (training only) pad, crop and flip, then (v·Rescale − Mean)/Std per
// channel into planes C×Size×Size.
type Transform struct {
	Size      int
	Wide      int   // columns, where there are not as many as rows (Size); 0: as many
	Channels  int   // 3, or 1: luminance (ITU-R 601-2, as Pillow's "L")
	Scale     Scale // NewTransform sets Size×Size, Bilinear
	Cut       bool  // cut Size×Size out of the middle, with Around around what is smaller
	Around    [3]uint8
	CutEven   bool    // an odd rest is cut as torchvision does: halved to the even number, not downwards
	Rescale   float64 // of a level of 0 to 255; 0: 1/255
	Mean, Std []float32
	Flip      bool // mirror half of the images
	Crop      bool // pad by Pad on every side and cut at a random place
	Pad       int  // pixels; 0: an eighth of Size, 4 for CIFAR
	Reflect   bool // pad with the mirror image, not with black

	table [][256]float32 // of each channel, the value of a level
}

// Augmentations are the names that config.Data.Augment may hold.
func Augmentations() []string { return []string{"flip", "crop", "crop_reflect"} }

// NewTransform returns the transform of a model with images of size×size and
// the given channels. Empty mean and std are 0.5, one number serves every
// channel.
func NewTransform(size, channels int, mean, std []float32, augment []string) (*Transform, error) {
	t := &Transform{Size: size, Channels: channels, Scale: Scale{Width: size, Height: size, Filter: Bilinear},
		Mean: mean, Std: std}
	for _, a := range augment {
		switch a {
		case "flip":
			t.Flip = true
		case "crop":
			t.Crop = true
		case "crop_reflect":
			t.Crop, t.Reflect = true, true
		default:
			return nil, uierr.New(fmt.Sprintf("data.augment: there is no %q, the nearest is %q", a, nearest(a, Augmentations())),
				"use some of "+strings.Join(Augmentations(), ", "))
		}
	}
	return t, t.Prepare()
}

// Prepare checks the fields and fills the table of levels. It must be called
// after a field was changed, before the transform is used.
func (t *Transform) Prepare() error {
	if w := t.Columns(); t.Size < 1 || t.Size > 1<<13 || w < 1 || w > 1<<13 {
		return uierr.New(fmt.Sprintf("the model's images of %d by %d pixels", t.Size, w), "give an image size from 1 to 8192")
	}
	if t.Channels != 1 && t.Channels != 3 {
		return uierr.New(fmt.Sprintf("the model takes %d channels", t.Channels), "use a model of 1 or 3 channels")
	}
	if err := t.Scale.check(); err != nil {
		return err
	}
	if t.Pad < 0 || t.Pad >= min(t.Size, t.Columns()) && t.Reflect {
		return uierr.New(fmt.Sprintf("padding of %d pixels around %d", t.Pad, t.Size), "pad by less than the image size")
	}
	mean, err := perChannel("data.mean", t.Mean, t.Channels)
	if err != nil {
		return err
	}
	std, err := perChannel("data.std", t.Std, t.Channels)
	if err != nil {
		return err
	}
	t.table = make([][256]float32, t.Channels)
	for c := range t.table {
		if !(std[c] > 0) {
			return uierr.New(fmt.Sprintf("data.std: %v", std[c]), "give positive numbers")
		}
		for v := range 256 {
			x := float32(v) / 255
			if t.Rescale != 0 && float32(t.Rescale) != float32(1.0/255) {
				x = float32(float64(v) * t.Rescale)
			}
			t.table[c][v] = (x - mean[c]) / std[c]
		}
	}
	return nil
}

// Columns is the width of what comes out.
func (t *Transform) Columns() int {
	if t.Wide > 0 {
		return t.Wide
	}
	return t.Size
}

// Normalization are the mean and the standard deviation of each channel, in
// levels of 0 to 1, that give a prepared transform's values: (level/255 − mean)/std.
func (t *Transform) Normalization() (mean, std []float32) {
	scale := 1.0
	if t.Rescale != 0 && float32(t.Rescale) != float32(1.0/255) {
		scale = 255 * t.Rescale
	}
	mean, _ = perChannel("data.mean", t.Mean, t.Channels) // Prepare has checked both
	std, _ = perChannel("data.std", t.Std, t.Channels)
	mean, std = slices.Clone(mean), slices.Clone(std)
	for c := range mean {
		mean[c], std[c] = float32(float64(mean[c])/scale), float32(float64(std[c])/scale)
	}
	return mean, std
}

func perChannel(key string, v []float32, channels int) ([]float32, error) {
	if len(v) == channels {
		return v, nil
	}
	if len(v) > 1 {
		return nil, uierr.New(fmt.Sprintf("%s: %d numbers for %d channels", key, len(v), channels),
			"give one number per channel, or one for all")
	}
	out := make([]float32, channels)
	for c := range out {
		out[c] = 0.5
		if len(v) == 1 {
			out[c] = v[0]
		}
	}
	return out, nil
}

// Table is the value of every level of 0 to 255, of each channel in turn.
func (t *Transform) Table() []float32 {
	var out []float32
	for c := range t.table {
		out = append(out, t.table[c][:]...)
	}
	return out
}

// Write fills dst, Channels×Size×Size, from a fitted image. g makes the random
// choices of training; nil: there are none.
func (t *Transform) Write(dst []float32, im *Image, g *noise.Generator) {
	t.each(im, g, func(c, at int, level uint8) { dst[c*t.Size*t.Columns()+at] = t.table[c][level] })
}

// WriteLevels is Write of the levels that the values stand for.
func (t *Transform) WriteLevels(dst []uint8, im *Image, g *noise.Generator) {
	t.each(im, g, func(c, at int, level uint8) { dst[c*t.Size*t.Columns()+at] = level })
}

// each tells of every level of an image, in the place of a plane where it goes.
func (t *Transform) each(im *Image, g *noise.Generator, put func(c, at int, level uint8)) {
	high, wide, dx, dy, flip := t.Size, t.Columns(), 0, 0, false
	if g != nil && t.Crop {
		pad := t.pad()
		dy, dx = g.Intn(2*pad+1)-pad, g.Intn(2*pad+1)-pad
	}
	if g != nil && t.Flip {
		flip = g.Uint32()>>31 == 1
	}
	for y := range high {
		sy := t.place(y+dy, high)
		for x := range wide {
			sx := x
			if flip {
				sx = wide - 1 - x
			}
			sx = t.place(sx+dx, wide)
			var r, gr, b uint8
			if sx >= 0 && sy >= 0 {
				p := im.Pix[3*(sy*wide+sx):]
				r, gr, b = p[0], p[1], p[2]
			}
			if t.Channels == 1 {
				put(0, y*wide+x, luminance(r, gr, b))
				continue
			}
			put(0, y*wide+x, r)
			put(1, y*wide+x, gr)
			put(2, y*wide+x, b)
		}
	}
}

func (t *Transform) pad() int {
	if t.Pad > 0 {
		return t.Pad
	}
	return min(t.Size, t.Columns()) / 8
}

// place maps a position of n to the source's, -1: black.
func (t *Transform) place(i, n int) int {
	switch {
	case i >= 0 && i < n:
		return i
	case !t.Reflect:
		return -1
	case i < 0:
		return -i
	}
	return 2*(n-1) - i
}

// luminance is Pillow's L24 conversion.
func luminance(r, g, b uint8) uint8 {
	return uint8((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 0x8000) >> 16)
}
