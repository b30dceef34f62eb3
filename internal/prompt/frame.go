// Package prompt is what is learned in front of a model that stays as it is
// (visual prompting; Bahng et al. 2022, arXiv 2203.17274): a frame of pixels,
// and the mapping of the model's classes to the task's. Learned tokens stand
// inside a network and are parameters of internal/vit.
package prompt

import (
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/uierr"
)

// Modes of a frame.
const (
	Over   = "over"   // added to the border of the image
	Around = "around" // replaces the border of an image that is shrunk to fit inside
)

// Frame is a learned frame of pixels, width pixels wide, in units of the
// normalised image. Its parameters are the border pixels of the image, channel
// by channel, each channel row by row. It starts at zero: over the image that
// is no prompt at all, around it a frame in the mean colour of the data.
type Frame struct {
	Mode                    string
	Channels, Height, Width int // of the image
	Pixels                  int // width of the frame
	Param                   *forward.Param

	border []int // positions of the frame's pixels in one channel, rising
}

func init() {
	for _, mode := range []string{Over, Around} {
		registerOverlay(mode, func(k Kind, channels, height, width int) (Overlay, error) {
			return NewFrame(k.Mode, k.Width, channels, height, width)
		})
	}
}

// Trained are the pixels.
func (f *Frame) Trained() *forward.Param { return f.Param }

// Size is the shape of an image.
func (f *Frame) Size() (channels, height, width int) { return f.Channels, f.Height, f.Width }

// NewFrame makes a frame for images of channels×height×width.
func NewFrame(mode string, pixels, channels, height, width int) (*Frame, error) {
	if mode != Over && mode != Around {
		return nil, uierr.New(fmt.Sprintf("prompt.mode: no mode %q", mode), "use over or around")
	}
	if channels < 1 || height < 1 || width < 1 {
		return nil, fmt.Errorf("prompt: images of %d×%d×%d", channels, height, width)
	}
	if pixels < 1 || pixels > (min(height, width)-1)/2 {
		return nil, uierr.New(fmt.Sprintf("prompt.width: a frame of %d pixels leaves nothing of a %d×%d image", pixels,
			height, width),
			fmt.Sprintf("use 1 to %d", (min(height, width)-1)/2))
	}
	f := &Frame{Mode: mode, Channels: channels, Height: height, Width: width, Pixels: pixels}
	for y := range height {
		for x := range width {
			if y < pixels || y >= height-pixels || x < pixels || x >= width-pixels {
				f.border = append(f.border, y*width+x)
			}
		}
	}
	f.Param = &forward.Param{Name: "prompt.frame", Block: -1, Shape: []int{channels, len(f.border)}, Role: "prompt",
		Data: make([]float32, channels*len(f.border))}
	return f, nil
}

// Prepare writes to dst what the frame needs of one image and keeps for all
// its queries: the image itself, or the image shrunk to fit inside with zeros
// around. Both are Channels×Height×Width.
func (f *Frame) Prepare(dst, img []float32) {
	if f.Mode == Over {
		copy(dst, img)
		return
	}
	plane := f.Height * f.Width
	clear(dst[:f.Channels*plane])
	for c := range f.Channels {
		shrink(dst[c*plane:(c+1)*plane], img[c*plane:(c+1)*plane], f.Height, f.Width, f.Pixels)
	}
}

// Apply writes a prepared image with the frame data (laid out as Param.Data) to
// dst.
func (f *Frame) Apply(dst, prepared, data []float32) {
	plane := f.Height * f.Width
	copy(dst[:f.Channels*plane], prepared)
	for c := range f.Channels {
		d, v := dst[c*plane:(c+1)*plane], data[c*len(f.border):(c+1)*len(f.border)]
		for j, p := range f.border {
			d[p] += v[j]
		}
	}
}

// shrink resizes one plane to the inside of its border by area averaging: each
// pixel of the result is the mean of the part of the image that it covers,
// which neither aliases nor rings.
func shrink(dst, src []float32, h, w, border int) {
	oh, ow := h-2*border, w-2*border
	for y := range oh {
		y0, y1 := float64(y)*float64(h)/float64(oh), float64(y+1)*float64(h)/float64(oh)
		for x := range ow {
			x0, x1 := float64(x)*float64(w)/float64(ow), float64(x+1)*float64(w)/float64(ow)
			var sum, area float64
			for sy := int(y0); sy < h && float64(sy) < y1; sy++ {
				dy := min(y1, float64(sy+1)) - max(y0, float64(sy))
				for sx := int(x0); sx < w && float64(sx) < x1; sx++ {
					a := dy * (min(x1, float64(sx+1)) - max(x0, float64(sx)))
					sum += a * float64(src[sy*w+sx])
					area += a
				}
			}
			dst[(y+border)*w+x+border] = float32(sum / area)
		}
	}
}
