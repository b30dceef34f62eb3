package data

import (
	"fmt"
	"image/color"
	"math"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

func init() { register(kind{name: "shapes", open: openShapes}) }

// shapes draws its images: one figure of a random colour, size and place on a
// black or a grey ground, under pixel noise. Image i of a split is a function
// of (split_seed, split, i); its class is i modulo the classes, so that every
// prefix is balanced. The class is the figure; the other attributes are
// independent of it.
type shapes struct {
	table
	seed uint64
	part uint32
	size int
}

// shapeWords are the attributes of a figure, one group a line; the classes are
// the first group.
var shapeWords = [...][]string{
	{"disc", "cross", "rows", "columns"},
	{"red", "green", "blue", "yellow", "magenta", "cyan"},
	{"top", "middle", "bottom"},
	{"left", "centre", "right"},
	{"small", "large"},
	{"black", "grey"},
}

// shapeColours stand in the order of their words.
var shapeColours = [...]color.RGBA{
	{220, 40, 40, 255}, {40, 190, 60, 255}, {50, 80, 230, 255}, {225, 205, 40, 255}, {210, 60, 200, 255},
	{40, 200, 210, 255},
}

const (
	shapeNoise  = 10.0     // standard deviation of the pixel noise, of 255 levels
	maxShapes   = 10000000 // images a split may have
	minShape    = 8        // pixels of a side
	maxShape    = 1024
	supersample = 4 // samples across a pixel, for smooth edges
)

func openShapes(cfg config.Data, part string) (source, error) {
	items, p, err := drawn(cfg, part)
	if err != nil {
		return nil, err
	}
	s := &shapes{table: table{classes: shapeWords[0], items: items}, seed: uint64(cfg.SplitSeed), part: p, size: cfg.Size}
	for i := range s.items {
		id := fmt.Sprintf("%s/%06d", part, i)
		s.items[i] = Info{Path: "shapes:" + id, Label: i % len(s.classes), ID: id}
	}
	return s, nil
}

// drawn makes room for the images of a split that is drawn, and numbers the split.
func drawn(cfg config.Data, part string) (items []Info, number uint32, err error) {
	n, key := cfg.Count, "count"
	if part == Test {
		n, key, number = cfg.TestCount, "test_count", 1
	}
	if n < 1 || n > maxShapes {
		return nil, 0, uierr.New(fmt.Sprintf("data.%s: %d images", key, n),
			fmt.Sprintf("give a number from 1 to %d", maxShapes))
	}
	if cfg.Size < minShape || cfg.Size > maxShape {
		return nil, 0, uierr.New(fmt.Sprintf("data.size: %d pixels", cfg.Size), fmt.Sprintf("give a number from %d to %d",
			minShape, maxShape))
	}
	return make([]Info, n), number, nil
}

// figure is what there is to say of an image: an index into each group of
// shapeWords.
type figure [len(shapeWords)]int

func (s *shapes) figure(i int) (figure, *noise.Generator) {
	g := noise.Rand(s.seed, noise.Data, uint32(i), s.part)
	f := figure{i % len(s.classes)}
	for k := 1; k < len(f); k++ {
		f[k] = g.Intn(len(shapeWords[k]))
	}
	return f, g
}

// Words implements Attributed.
func (s *shapes) Words() []string {
	var words []string
	for _, group := range shapeWords {
		words = append(words, group...)
	}
	return words
}

// Attributes implements Attributed: one word of each group.
func (s *shapes) Attributes(i int) []string {
	f, _ := s.figure(i)
	words := make([]string, len(f))
	for k, v := range f {
		words[k] = shapeWords[k][v]
	}
	return words
}

// Image draws image i.
func (s *shapes) Image(i int) (*Image, error) {
	f, g := s.figure(i)
	radius := 0.30 + 0.02*g.Float64()
	if f[4] == 1 {
		radius += 0.08
	}
	// The middles of the thirds that a figure of this radius can stand in, and
	// a little off them.
	reach := 0.5 - radius
	cy := 0.5 + reach*(0.6*float64(f[2]-1)+0.2*(2*g.Float64()-1))
	cx := 0.5 + reach*(0.6*float64(f[3]-1)+0.2*(2*g.Float64()-1))
	ground := 15 + 30*g.Float64()
	if f[5] == 1 {
		ground += 60
	}
	c := shapeColours[f[1]]
	paint := [3]float64{float64(c.R), float64(c.G), float64(c.B)}
	im := &Image{s.size, s.size, make([]uint8, 3*s.size*s.size)}
	at := 0
	for y := range s.size {
		for x := range s.size {
			share := coverage(figures[f[0]], x, y, s.size, cx, cy, radius)
			for _, p := range paint {
				v := ground + share*(p-ground) + shapeNoise*g.Normal()
				im.Pix[at] = uint8(math.Round(min(max(v, 0), 255)))
				at++
			}
		}
	}
	return im, nil
}

// coverage is the share of pixel (x, y) of an image of size pixels a side that a
// figure of some radius about (cx, cy) covers; inside is of radius 1 at the origin.
func coverage(inside func(u, v float64) bool, x, y, size int, cx, cy, radius float64) float64 {
	n := float64(size)
	if math.Abs((float64(x)+0.5)/n-cx) > radius+1/n || math.Abs((float64(y)+0.5)/n-cy) > radius+1/n {
		return 0
	}
	hits := 0
	for j := range supersample {
		v := ((float64(y)+(float64(j)+0.5)/supersample)/n - cy) / radius
		for i := range supersample {
			u := ((float64(x)+(float64(i)+0.5)/supersample)/n - cx) / radius
			if inside(u, v) {
				hits++
			}
		}
	}
	return float64(hits) / (supersample * supersample)
}

// figures say whether a point belongs to a figure of radius 1 at the origin, in the
// order of the classes.
var figures = [...]func(u, v float64) bool{
	func(u, v float64) bool { return u*u+v*v <= 1 },
	func(u, v float64) bool {
		return max(math.Abs(u), math.Abs(v)) <= 1 && min(math.Abs(u), math.Abs(v)) <= 0.3
	},
	threeBars,
	func(u, v float64) bool { return threeBars(v, u) }, // side by side
}

// threeBars are one above the other.
func threeBars(u, v float64) bool {
	return max(math.Abs(u), math.Abs(v)) <= 0.9 && math.Mod(v+0.9, 0.72) <= 0.36
}

func (s *shapes) check(int) error                     { return nil }
func (s *shapes) encoded(int) (string, []byte, error) { return "", nil, nil }
func (s *shapes) Close() error                        { return nil }
