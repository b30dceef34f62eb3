package report

import (
	"html/template"
	"image"
	"math"
	"slices"
)

// Series is one line (or cloud) of a chart. Xs and Ys have one length; a point
// where either is no number is a gap.
type Series struct {
	Name   string
	Xs, Ys []float64
	Lo, Hi []float64 // an interval around Ys, drawn as a band; nil: none
	Points bool      // dots and no line
	Smooth bool      // the values faintly, and their moving average over them
	Color  int       // number of the colour; 0 takes the series' place in the chart
}

// Chart is a set of series over one pair of axes.
type Chart struct {
	Title, XTitle, YTitle string
	How                   string // a sentence below the title: what it shows, and how to read it
	Series                []Series
	Zero                  bool    // the y axis begins at 0
	Percent               bool    // y is a share, labelled in percent
	YMax                  float64 // end of the y axis, 0: from the data
	Level                 float64 // a dashed line at this y, 0: none
	Small                 bool    // one of several side by side
}

type point struct{ x, y float64 }

// kind says what a line or text is for; a pen decides how that looks.
type kind int

const (
	gridLine kind = iota
	axisLine
	levelLine
	markLine
	dataLine
	faintLine
	tickText
	axisText
	titleText
)

// anchor says which end of a text stands at its point.
type anchor int

const (
	start anchor = iota
	middle
	end
	upright // turned a quarter to the left, centred
)

// pen is what a chart is drawn with: SVG for pages, pixels for PNG.
type pen interface {
	line(k kind, series int, pts []point)
	band(series int, pts []point, pale bool)
	dot(series int, p point, r float64, hint string)
	text(k kind, a anchor, p point, s string)
}

// SVG is the chart as inline SVG, once for wide pages and once for narrow ones;
// the page's style shows the one that fits.
func (c Chart) SVG() template.HTML {
	if c.Small {
		return c.svg(340, 210, "")
	}
	return c.svg(760, 300, "wide") + c.svg(360, 250, "narrow")
}

func (c Chart) svg(w, h float64, class string) template.HTML {
	p := newSVG(w, h, class, c.Title)
	c.draw(p, w, h, false)
	return p.done()
}

// Image draws the chart in pixels, on white, with its title and legend.
func (c Chart) Image(w, h int) (image.Image, error) {
	p, err := newRaster(w, h)
	if err != nil {
		return nil, err
	}
	c.draw(p, float64(w)/scale, float64(h)/scale, true)
	return p.dst, nil
}

// draw lays the chart out on w×h and draws it.
func (c Chart) draw(p pen, w, h float64, whole bool) {
	f := frame{left: 14, right: 18, top: 10, bottom: 22}
	if c.XTitle != "" {
		f.bottom += 18
	}
	if c.YTitle != "" {
		f.left += 20
	}
	if whole {
		f.top += c.heading(p, w)
	}
	f.w, f.h = w, h
	all, banded := make([]Series, len(c.Series)), 0
	for i, s := range c.Series {
		all[i] = s.cut().thin()
		if c.Percent {
			all[i].Lo, all[i].Hi = shares(all[i].Lo), shares(all[i].Hi)
		}
		if all[i].Lo != nil && all[i].Hi != nil {
			banded++
		}
	}
	f.x0, f.x1, f.y0, f.y1 = c.bounds(all)
	xs, xd := ticks(f.x0, f.x1, max(4, int(w/90)))
	ys, yd := ticks(f.y0, f.y1, 5)
	var widest float64
	for _, y := range ys {
		widest = max(widest, textWidth(tickLabel(y, yd, c.Percent)))
	}
	f.left += widest
	for _, y := range ys {
		p.line(gridLine, 0, []point{f.at(f.x0, y), f.at(f.x1, y)})
		q := f.at(f.x0, y)
		p.text(tickText, end, point{q.x - 6, q.y + 4}, tickLabel(y, yd, c.Percent))
	}
	p.line(axisLine, 0, []point{f.at(f.x0, f.y0), f.at(f.x1, f.y0)})
	for _, x := range xs {
		q := f.at(x, f.y0)
		p.text(tickText, middle, point{q.x, q.y + 16}, tickLabel(x, xd, false))
	}
	if c.XTitle != "" {
		p.text(axisText, middle, point{(f.left + w - f.right) / 2, h - 6}, c.XTitle)
	}
	if c.YTitle != "" {
		p.text(axisText, upright, point{15, (f.top + h - f.bottom) / 2}, c.YTitle)
	}
	if c.Level != 0 && c.Level >= f.y0 && c.Level <= f.y1 {
		p.line(levelLine, 0, []point{f.at(f.x0, c.Level), f.at(f.x1, c.Level)})
	}
	for i, s := range all { // below every line
		f.bands(p, s, colorOf(s, i), banded > crowd)
	}
	for i, s := range all {
		f.series(p, s, colorOf(s, i))
	}
}

// shares are the ends of intervals as far as a share can be: those of few seeds reach
// beyond 0 and 1, and would press the curves flat.
func shares(ends []float64) []float64 {
	out := slices.Clone(ends)
	for i, v := range out {
		if finite(v) {
			out[i] = max(0, min(1, v))
		}
	}
	return out
}

// crowd is how many bands are drawn at full strength; more are paler, or they
// would hide each other.
const crowd = 3

// heading writes title and legend and returns the height that they took.
func (c Chart) heading(p pen, w float64) float64 {
	p.text(titleText, start, point{14, 24}, c.Title)
	if len(c.Series) < 2 {
		return 28
	}
	x, y := 14.0, 46.0
	for i, s := range c.Series {
		need := 22 + textWidth(s.Name) + 14
		if x+need > w && x > 14 {
			x, y = 14, y+18
		}
		p.line(dataLine, colorOf(s, i), []point{{x, y - 4}, {x + 16, y - 4}})
		p.text(tickText, start, point{x + 22, y}, s.Name)
		x += need
	}
	return y + 4
}

func colorOf(s Series, i int) int {
	if s.Color > 0 {
		return s.Color - 1
	}
	return i
}

// bounds are the ends of the axes for the series as they are drawn.
func (c Chart) bounds(drawn []Series) (x0, x1, y0, y1 float64) {
	x0, y0, x1, y1 = math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, s := range drawn {
		for i := range s.Xs {
			if !finite(s.Xs[i]) || !finite(s.Ys[i]) {
				continue
			}
			x0, x1 = min(x0, s.Xs[i]), max(x1, s.Xs[i])
			for _, v := range [][]float64{s.Ys, s.Lo, s.Hi} {
				if i < len(v) && finite(v[i]) {
					y0, y1 = min(y0, v[i]), max(y1, v[i])
				}
			}
		}
	}
	if x0 > x1 { // nothing to draw
		x0, x1, y0, y1 = 0, 1, 0, 1
	}
	if c.Level != 0 {
		y0, y1 = min(y0, c.Level), max(y1, c.Level)
	}
	if x0 == x1 {
		x0, x1 = x0-0.5, x1+0.5
	}
	if len(drawn) > 0 && drawn[0].Points { // dots stand clear of the edges
		pad := 0.03 * (x1 - x0)
		x0, x1 = x0-pad, x1+pad
	}
	if c.Zero {
		y0 = min(0, y0)
	}
	if c.YMax != 0 {
		y1 = max(y0, c.YMax)
	}
	if y0 == y1 {
		y0, y1 = y0-max(0.5, math.Abs(y0)/10), y1+max(0.5, math.Abs(y1)/10)
	}
	if step := niceStep((y1 - y0) / 5); step > 0 {
		y0, y1 = math.Floor(y0/step+1e-9)*step, math.Ceil(y1/step-1e-9)*step
	}
	return x0, x1, y0, y1
}

// frame maps data to the drawing.
type frame struct {
	w, h, left, right, top, bottom float64
	x0, x1, y0, y1                 float64
}

func (f frame) at(x, y float64) point {
	return point{
		f.left + (x-f.x0)/(f.x1-f.x0)*(f.w-f.left-f.right),
		f.h - f.bottom - (y-f.y0)/(f.y1-f.y0)*(f.h-f.top-f.bottom),
	}
}
