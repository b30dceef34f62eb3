package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
)

// Forest shows estimates with their intervals, one per line, against a level
// that stands for no effect.
type Forest struct {
	Title   string
	How     string  // as of a Chart
	XTitle  string  // what the estimates are
	Level   float64 // no effect; NaN: none
	Also    string  // what the second mark of a line is, "" for none
	Percent bool
	Rows    []Estimate
}

// Estimate is one line of a Forest.
type Estimate struct {
	Name          string
	Value, Lo, Hi float64
	Also          float64 // the second mark, NaN: none
}

func (Forest) template() string { return "forest" }

// SVG is the forest as inline SVG, wide and narrow. A value far from the others
// is cut off at the edge, where an arrow says so: one wild estimate must not
// press all others together.
func (f Forest) SVG() template.HTML { return f.svg(760, "wide") + f.svg(360, "narrow") }

const (
	lineH     = 34.0
	forestTop = 8.0
)

func (f Forest) svg(w float64, class string) template.HTML {
	if f.Percent {
		f.Rows = slices.Clone(f.Rows)
		for i := range f.Rows {
			end := shares([]float64{f.Rows[i].Lo, f.Rows[i].Hi})
			f.Rows[i].Lo, f.Rows[i].Hi = end[0], end[1]
		}
	}
	h := forestTop + lineH*float64(len(f.Rows)) + 44
	p := newSVG(w, h, class, f.Title)
	var widest float64
	for _, r := range f.Rows {
		widest = max(widest, 1.12*textWidth(r.Name))
	}
	left := min(widest+10, w*0.42)
	x0, x1 := f.ends()
	at := func(x float64) float64 { return left + (max(x0, min(x1, x))-x0)/(x1-x0)*(w-left-60) }
	bottom := h - 40
	xs, d := ticks(x0, x1, max(2, int(w/110)))
	for _, x := range xs {
		p.line(gridLine, 0, []point{{at(x), forestTop}, {at(x), bottom}})
		p.text(tickText, middle, point{at(x), bottom + 16}, tickLabel(x, d, f.Percent))
	}
	if finite(f.Level) && f.Level >= x0 && f.Level <= x1 {
		p.line(levelLine, 0, []point{{at(f.Level), forestTop}, {at(f.Level), bottom}})
	}
	p.text(axisText, middle, point{(left + w - 60) / 2, h - 4}, f.XTitle)
	for i, r := range f.Rows {
		y := forestTop + lineH*(float64(i)+0.5)
		p.text(titleText, end, point{left - 10, y + 4}, r.Name)
		p.text(tickText, end, point{w - 2, y + 4}, f.write(r.Value))
		if !finite(r.Value) {
			continue
		}
		if finite(r.Lo) && finite(r.Hi) {
			p.line(dataLine, 0, []point{{at(r.Lo), y}, {at(r.Hi), y}})
		}
		if r.Value > x1 {
			p.line(dataLine, 0, []point{{at(x1) - 6, y - 5}, {at(x1), y}, {at(x1) - 6, y + 5}})
		} else {
			p.dot(0, point{at(r.Value), y}, 4.5, fmt.Sprintf("%s: %s (%s to %s)", r.Name, f.write(r.Value), f.write(r.Lo),
				f.write(r.Hi)))
		}
		if f.Also != "" && finite(r.Also) && r.Also <= x1 {
			x := at(r.Also)
			p.line(markLine, 0, []point{{x, y - 10}, {x, y + 10}})
		}
	}
	return p.done()
}

func (f Forest) write(v float64) string {
	if f.Percent {
		return Percent(v)
	}
	return Fixed(v, 3)
}

// ends are the ends of the axis: what the lines span, but not further than
// twice the median's distance from the level.
func (f Forest) ends() (x0, x1 float64) {
	x0, x1 = math.Inf(1), math.Inf(-1)
	cut := math.Inf(1)
	if finite(f.Level) && f.Level > 0 {
		cut = 2 * f.Level
		x0, x1 = f.Level, f.Level
	}
	for _, r := range f.Rows {
		for _, v := range []float64{r.Value, r.Lo, r.Hi} {
			if finite(v) {
				x0, x1 = min(x0, v), max(x1, min(v, cut))
			}
		}
	}
	if x0 > x1 {
		return 0, 1
	}
	if x0 == x1 {
		x0, x1 = x0-0.1, x1+0.1
	}
	step := niceStep((x1 - x0) / 5)
	return math.Floor(x0/step+1e-9) * step, math.Ceil(x1/step-1e-9) * step
}
