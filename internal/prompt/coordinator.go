package prompt

import (
	"fmt"
	"math"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// Coordinated is the mode of a Coordinator.
const Coordinated = "coordinator"

func init() {
	registerOverlay(Coordinated, func(k Kind, channels, height, width int) (Overlay, error) {
		return NewCoordinator(k.Width, k.Count, channels, height, width)
	})
}

// Coordinator adds to every image a picture of its own (after BlackVIP; Oh et al.
// 2023, arXiv 2303.14773): a frozen encoder e sees the image, a learned trigger t
// stands beside what it saw, and a learned decoder makes cells×cells colours of both,
// which are stretched over the image and added:
//
//	x + stretch(W·[e(x); t])
//
// The paper's encoder is a pretrained autoencoder; ours is small and needs no
// weights: the image's means over 4×4 fields, through a fixed random map to 16
// numbers and tanh. W begins at zero, which changes nothing, and t at random.
// Trained are t, then W row by row.
type Coordinator struct {
	Channels, Height, Width int // of the image
	Cells                   int // of a side
	Triggers                int // numbers of t

	param   *forward.Param
	project []float32 // encoded×fields
}

const (
	fields  = 4  // of a side, that the encoder sees the means of
	encoded = 16 // numbers that it says

	maxNumbers = 1 << 26 // that are learned, of which a checkpoint may say anything
)

// encoderSeed fixes the encoder for all runs and checkpoints.
const encoderSeed = 2303_14773

// NewCoordinator makes a coordinator of cells a side and so many trigger numbers.
func NewCoordinator(cells, triggers, channels, height, width int) (*Coordinator, error) {
	if channels < 1 || height < fields || width < fields {
		return nil, fmt.Errorf("prompt: a coordinator for images of %d×%d×%d", channels, height, width)
	}
	if cells < 1 || cells > min(height, width) {
		return nil, uierr.New(fmt.Sprintf("prompt.width: %d cells a side over an image of %d×%d", cells, height, width),
			fmt.Sprintf("use 1 to %d", min(height, width)))
	}
	most := maxNumbers/(channels*cells*cells) - encoded
	if triggers < 1 || triggers > most {
		return nil, uierr.New(fmt.Sprintf("prompt.count: %d numbers of a trigger", triggers),
			fmt.Sprintf("use 1 to %d with %d cells a side", most, cells))
	}
	c := &Coordinator{Channels: channels, Height: height, Width: width, Cells: cells, Triggers: triggers}
	n := triggers + channels*cells*cells*(encoded+triggers)
	c.param = &forward.Param{Name: "prompt.coordinator", Block: -1, Shape: []int{n}, Role: "prompt",
		Data: make([]float32, n)}
	g := noise.Rand(encoderSeed, noise.Init)
	for range encoded * channels * fields * fields {
		c.project = append(c.project, float32(g.Normal()/math.Sqrt(float64(channels*fields*fields))))
	}
	for i := range triggers {
		c.param.Data[i] = float32(g.Normal())
	}
	return c, nil
}

// Trained are the trigger and the decoder.
func (c *Coordinator) Trained() *forward.Param { return c.param }

// Size is the shape of an image.
func (c *Coordinator) Size() (channels, height, width int) { return c.Channels, c.Height, c.Width }

// Prepare keeps the image.
func (c *Coordinator) Prepare(dst, img []float32) { copy(dst, img[:c.Channels*c.Height*c.Width]) }

// encode is what the encoder says of an image.
func (c *Coordinator) encode(img []float32) []float32 {
	n := c.Channels * fields * fields
	seen, many := make([]float64, n), make([]float64, n)
	for ch := range c.Channels {
		for y := range c.Height {
			row := img[(ch*c.Height+y)*c.Width:][:c.Width]
			for x, v := range row {
				i := (ch*fields+y*fields/c.Height)*fields + x*fields/c.Width
				seen[i] += float64(v)
				many[i]++
			}
		}
	}
	out := make([]float32, encoded)
	for k := range out {
		var sum float64
		for i, v := range seen {
			sum += float64(c.project[k*n+i]) * v / many[i]
		}
		out[k] = float32(math.Tanh(sum))
	}
	return out
}

// Apply adds the image's picture to it.
func (c *Coordinator) Apply(dst, prepared, data []float32) {
	in := append(c.encode(prepared), data[:c.Triggers]...)
	w := data[c.Triggers:]
	cells := make([]float32, c.Channels*c.Cells*c.Cells)
	for i := range cells {
		var sum float64
		for j, v := range in {
			sum += float64(w[i*len(in)+j]) * float64(v)
		}
		cells[i] = float32(sum)
	}
	for ch := range c.Channels {
		for y := range c.Height {
			for x := range c.Width {
				at := (ch*c.Height+y)*c.Width + x
				dst[at] = prepared[at] + c.stretched(cells[ch*c.Cells*c.Cells:], y, x)
			}
		}
	}
}

// stretched is the colour of a pixel between the centres of cells, linearly.
func (c *Coordinator) stretched(cells []float32, y, x int) float32 {
	y0, y1, fy := between(y, c.Height, c.Cells)
	x0, x1, fx := between(x, c.Width, c.Cells)
	at := func(y, x int) float32 { return cells[y*c.Cells+x] }
	return (1-fy)*((1-fx)*at(y0, x0)+fx*at(y0, x1)) + fy*((1-fx)*at(y1, x0)+fx*at(y1, x1))
}

// between are the cells beside pixel i of n, and how far it lies from the first to
// the second.
func between(i, n, cells int) (lo, hi int, far float32) {
	p := (float64(i)+0.5)*float64(cells)/float64(n) - 0.5
	f := math.Floor(p)
	lo, hi = max(0, int(f)), min(cells-1, int(f)+1)
	return min(lo, cells-1), hi, float32(p - f)
}
