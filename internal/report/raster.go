package report

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/vector"
)

// scale is the pixels of a PNG per unit of a chart: charts look the same at
// twice the density.
const scale = 2

// palette is that of Okabe and Ito, in the order of how well two neighbours can
// be told apart on white; the page's style has its twin for dark.
var palette = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xb9, 0x7f, 0x00, 0xff}, {0x3a, 0x9a, 0xd9, 0xff}, {0x6b, 0x6b, 0x6b, 0xff}, {0x7a, 0x52, 0x2a, 0xff},
}

// looks is how many lines can be told apart: the palette, whose second half is dashed so
// that no two lines differ by a close colour alone, and the palette dotted.
var looks = 2 * len(palette)

// pattern is how much of a series' line is drawn and left out in turn, 0 and 0 of one drawn
// through.
func pattern(series int) (on, off float64) {
	switch k := series % looks; {
	case k >= len(palette):
		return 2, 4
	case k >= len(palette)/2:
		return 7, 5
	}
	return 0, 0
}

// raster is the pen of PNG files.
type raster struct {
	dst          *image.RGBA
	small, title font.Face
}

func newRaster(w, h int) (*raster, error) {
	r := &raster{dst: image.NewRGBA(image.Rect(0, 0, w, h))}
	draw.Draw(r.dst, r.dst.Rect, image.NewUniform(paper), image.Point{}, draw.Src)
	var err error
	if r.small, err = face(regular, 12*scale); err != nil {
		return nil, err
	}
	r.title, err = face(medium, 15*scale)
	return r, err
}

func (r *raster) line(k kind, series int, pts []point) {
	c := palette[series%len(palette)]
	switch k {
	case gridLine:
		r.stroke(pts, 1, rule)
	case axisLine:
		r.stroke(pts, 1, faint)
	case levelLine:
		r.dashes(pts, 4, 4, 1, faint)
	case markLine:
		r.stroke(pts, 1.5, soft)
	case faintLine:
		r.stroke(pts, 1, fade(c, 0.3))
	case dataLine:
		if on, off := pattern(series); on > 0 {
			r.dashes(pts, on, off, 2, c)
		} else {
			r.stroke(pts, 2, c)
		}
	}
}

// dashes strokes a line in pieces of a length with gaps between them.
func (r *raster) dashes(pts []point, on, off, width float64, c color.RGBA) {
	left, drawing := on, true
	for i := 1; i < len(pts); i++ {
		a, b := pts[i-1], pts[i]
		d := math.Hypot(b.x-a.x, b.y-a.y)
		for at := 0.0; at < d; {
			to := min(d, at+left)
			if drawing {
				r.stroke([]point{between(a, b, at/d), between(a, b, to/d)}, width, c)
			}
			if left -= to - at; left <= 1e-9 {
				if drawing = !drawing; drawing {
					left = on
				} else {
					left = off
				}
			}
			at = to
		}
	}
}

func between(a, b point, t float64) point { return point{a.x + (b.x-a.x)*t, a.y + (b.y-a.y)*t} }

// stroke fills a rectangle per segment and a disc per joint.
func (r *raster) stroke(pts []point, width float64, c color.RGBA) {
	var shapes [][]point
	for i, b := range pts {
		if width > 1 {
			shapes = append(shapes, disc(b, width/2))
		}
		if i == 0 {
			continue
		}
		a := pts[i-1]
		d := math.Hypot(b.x-a.x, b.y-a.y)
		if d == 0 {
			continue
		}
		x, y := (b.x-a.x)/d*width/2, (b.y-a.y)/d*width/2
		shapes = append(shapes, []point{{a.x + y, a.y - x}, {b.x + y, b.y - x}, {b.x - y, b.y + x}, {a.x - y, a.y + x}})
	}
	r.fill(shapes, c)
}

// fill fills the union of shapes that turn the same way. It works on the part of
// the picture that they touch.
func (r *raster) fill(shapes [][]point, c color.RGBA) {
	lo, hi := point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	for _, s := range shapes {
		for _, p := range s {
			lo, hi = point{min(lo.x, p.x), min(lo.y, p.y)}, point{max(hi.x, p.x), max(hi.y, p.y)}
		}
	}
	if lo.x > hi.x {
		return
	}
	box := image.Rect(int(lo.x*scale)-1, int(lo.y*scale)-1, int(hi.x*scale)+2, int(hi.y*scale)+2).Intersect(r.dst.Rect)
	if box.Empty() {
		return
	}
	z := vector.NewRasterizer(box.Dx(), box.Dy())
	for _, s := range shapes {
		for i, p := range s {
			x, y := float32(p.x*scale)-float32(box.Min.X), float32(p.y*scale)-float32(box.Min.Y)
			if i == 0 {
				z.MoveTo(x, y)
			} else {
				z.LineTo(x, y)
			}
		}
		z.ClosePath()
	}
	z.Draw(r.dst, box, image.NewUniform(c), image.Point{})
}

func disc(p point, r float64) []point {
	pts := make([]point, 24)
	for i := range pts {
		s, c := math.Sincos(2 * math.Pi * float64(i) / float64(len(pts)))
		pts[i] = point{p.x + r*c, p.y + r*s}
	}
	return pts
}

func (r *raster) band(series int, pts []point, pale bool) {
	opacity := 0.16
	if pale {
		opacity = 0.07
	}
	r.fill([][]point{pts}, fade(palette[series%len(palette)], opacity))
}

func (r *raster) dot(series int, p point, radius float64, _ string) {
	r.fill([][]point{disc(p, radius)}, palette[series%len(palette)])
}

func (r *raster) text(k kind, a anchor, p point, s string) {
	f, c := r.small, ink
	switch k {
	case titleText:
		f = r.title
	case tickText, axisText:
		c = soft
	}
	w := font.MeasureString(f, s).Ceil()
	x, y := int(p.x*scale), int(p.y*scale)
	switch a {
	case upright:
		r.upright(f, c, x, y, w, s)
		return
	case middle:
		x -= w / 2
	case end:
		x -= w
	}
	write(r.dst, f, c, x, y, s)
}

// upright writes a text and turns it a quarter to the left.
func (r *raster) upright(f font.Face, c color.RGBA, x, y, w int, s string) {
	m := f.Metrics()
	up, h := m.Ascent.Ceil(), m.Ascent.Ceil()+m.Descent.Ceil()
	flat := image.NewRGBA(image.Rect(0, 0, w, h))
	write(flat, f, c, 0, up, s)
	turned := image.NewRGBA(image.Rect(0, 0, h, w))
	for i := range w {
		for j := range h {
			turned.SetRGBA(j, w-1-i, flat.RGBAAt(i, j))
		}
	}
	at := image.Pt(x-up, y-w/2)
	draw.Draw(r.dst, turned.Rect.Add(at), turned, image.Point{}, draw.Over)
}

// fade is a colour at an opacity, premultiplied.
func fade(c color.RGBA, opacity float64) color.RGBA {
	m := func(v uint8) uint8 { return uint8(float64(v)*opacity + 0.5) }
	return color.RGBA{m(c.R), m(c.G), m(c.B), m(0xff)}
}
