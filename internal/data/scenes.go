package data

import (
	"fmt"
	"image/color"
	"math"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/noise"
)

func init() { register(kind{name: "scenes", open: openScenes}) }

// scenes draws its images: two figures of different kinds, one above the other,
// among specks and bars, each thing of a random colour, under pixel noise. The class
// is which kind is above which, so that it lies in two places and their order; size,
// columns, colours, ground and clutter are independent of it. Image i of a split is a
// function of (split_seed, split, i); its class is i modulo the classes.
type scenes struct {
	table
	seed uint64
	part uint32
	size int
}

// sceneFigures are the kinds of figure, each as the points of a square of side 2
// about the origin that belong to it.
var sceneFigures = []struct {
	name   string
	inside func(u, v float64) bool
}{
	{"disc", figures[0]},
	{"ring", func(u, v float64) bool { r := u*u + v*v; return r <= 1 && r >= 0.36 }},
	{"cross", figures[1]},
	{"triangle", func(u, v float64) bool { return v <= 1 && math.Abs(u) <= (v+1)/2 }},
}

const (
	sceneNoise  = 15.0 // standard deviation of the pixel noise, of 255 levels
	sceneGap    = 0.04 // least room between the figures, of the side
	sceneSpecks = 6    // pieces of clutter
)

// sceneClasses are the ordered pairs of different figures, such as disc_over_ring.
func sceneClasses() (names []string, pairs [][2]int) {
	for i, a := range sceneFigures {
		for j, b := range sceneFigures {
			if i != j {
				names, pairs = append(names, a.name+"_over_"+b.name), append(pairs, [2]int{i, j})
			}
		}
	}
	return names, pairs
}

func openScenes(cfg config.Data, part string) (source, error) {
	items, p, err := drawn(cfg, part)
	if err != nil {
		return nil, err
	}
	names, _ := sceneClasses()
	s := &scenes{table: table{classes: names, items: items}, seed: uint64(cfg.SplitSeed), part: p, size: cfg.Size}
	for i := range s.items {
		id := fmt.Sprintf("%s/%06d", part, i)
		s.items[i] = Info{Path: "scenes:" + id, Label: i % len(names), ID: id}
	}
	return s, nil
}

// thing is something to draw: its points, its middle and half its side as shares of
// the image's, and its colour.
type thing struct {
	inside       func(u, v float64) bool
	x, y, radius float64
	paint        color.RGBA
}

// scene is what there is in image i, from back to front: the clutter, then the upper
// and the lower figure.
func (s *scenes) scene(i int) ([]thing, *noise.Generator) {
	g := noise.Rand(s.seed, noise.Data, uint32(i), s.part+sceneParts)
	within := func(lo, hi float64) float64 { return lo + (hi-lo)*g.Float64() }
	paint := func() color.RGBA { return shapeColours[g.Intn(len(shapeColours))] }
	var all []thing
	for k := range sceneSpecks {
		r := within(0.03, 0.05)
		speck := thing{sceneFigures[0].inside, within(0, 1), within(0, 1), r, paint()}
		if k%2 == 1 { // a bar
			speck.inside, speck.radius = bar(within(0, math.Pi)), 3*r
		}
		all = append(all, speck)
	}
	_, pairs := sceneClasses()
	pair := pairs[s.items[i].Label]
	up, down := within(0.14, 0.19), within(0.14, 0.19)
	y := within(up, 1-2*down-up-sceneGap)
	all = append(all, thing{sceneFigures[pair[0]].inside, within(up, 1-up), y, up, paint()})
	return append(all, thing{sceneFigures[pair[1]].inside, within(down, 1-down),
		within(y+up+down+sceneGap, 1-down), down, paint()}), g
}

// sceneParts keeps the draws of scenes apart from those of shapes.
const sceneParts = 2

// bar is a thin bar through the origin, at an angle.
func bar(angle float64) func(u, v float64) bool {
	sin, cos := math.Sincos(angle)
	return func(u, v float64) bool {
		return math.Abs(u*cos+v*sin) <= 1 && math.Abs(v*cos-u*sin) <= 0.2
	}
}

// Image draws image i.
func (s *scenes) Image(i int) (*Image, error) {
	all, g := s.scene(i)
	ground := 10 + 90*g.Float64()
	pix := make([]float64, 3*s.size*s.size)
	for k := range pix {
		pix[k] = ground
	}
	for _, t := range all {
		t.draw(pix, s.size)
	}
	im := &Image{s.size, s.size, make([]uint8, len(pix))}
	for k, v := range pix {
		im.Pix[k] = uint8(math.Round(min(max(v+sceneNoise*g.Normal(), 0), 255)))
	}
	return im, nil
}

// draw lays the thing over an image of three numbers a pixel.
func (t *thing) draw(pix []float64, size int) {
	paint := [3]float64{float64(t.paint.R), float64(t.paint.G), float64(t.paint.B)}
	for y := range size {
		for x := range size {
			share := coverage(t.inside, x, y, size, t.x, t.y, t.radius)
			if share == 0 {
				continue
			}
			at := pix[3*(y*size+x):][:3]
			for c, p := range paint {
				at[c] += share * (p - at[c])
			}
		}
	}
}

func (s *scenes) check(int) error                     { return nil }
func (s *scenes) encoded(int) (string, []byte, error) { return "", nil, nil }
func (s *scenes) Close() error                        { return nil }
