package report

import (
	"fmt"
	"html"
	"html/template"
	"strings"
	"unicode/utf8"
)

// svg is the pen of pages. It names classes, and the page's style gives them
// colours, so that one drawing serves light and dark.
type svg struct{ b strings.Builder }

func newSVG(w, h float64, class, label string) *svg {
	s := &svg{}
	fmt.Fprintf(&s.b, `<svg class="chart %s" viewBox="0 0 %g %g" role="img" aria-label="%s">`, class, w, h,
		html.EscapeString(label))
	return s
}

func (s *svg) done() template.HTML {
	s.b.WriteString("</svg>")
	return template.HTML(s.b.String())
}

var lineClass = map[kind]string{gridLine: "grid", axisLine: "axis", levelLine: "level", markLine: "mark",
	dataLine: "line", faintLine: "faint"}

func (s *svg) line(k kind, series int, pts []point) {
	if len(pts) < 2 {
		return
	}
	fmt.Fprintf(&s.b, `<polyline class="%s`, lineClass[k])
	if k == dataLine || k == faintLine {
		fmt.Fprintf(&s.b, " s%d", series%looks)
	}
	s.b.WriteString(`" points="`)
	s.points(pts)
	s.b.WriteString(`"/>`)
}

func (s *svg) points(pts []point) {
	for i, p := range pts {
		if i > 0 {
			s.b.WriteByte(' ')
		}
		fmt.Fprintf(&s.b, "%s,%s", coordinate(p.x), coordinate(p.y))
	}
}

// coordinate keeps a tenth of a pixel.
func coordinate(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

func (s *svg) band(series int, pts []point, pale bool) {
	class := "band"
	if pale {
		class = "band pale"
	}
	fmt.Fprintf(&s.b, `<polygon class="%s s%d" points="`, class, series%len(palette))
	s.points(pts)
	s.b.WriteString(`"/>`)
}

func (s *svg) dot(series int, p point, r float64, hint string) {
	fmt.Fprintf(&s.b, `<circle class="dot s%d" cx="%s" cy="%s" r="%g"><title>%s</title></circle>`,
		series%len(palette), coordinate(p.x), coordinate(p.y), r, html.EscapeString(hint))
}

func (s *svg) text(k kind, a anchor, p point, text string) {
	class := map[kind]string{tickText: "tick", axisText: "name", titleText: "title"}[k]
	at := map[anchor]string{start: "start", middle: "middle", end: "end", upright: "middle"}[a]
	turn := ""
	if a == upright {
		turn = fmt.Sprintf(` transform="rotate(-90 %s %s)"`, coordinate(p.x), coordinate(p.y))
	}
	fmt.Fprintf(&s.b, `<text class="%s" text-anchor="%s" x="%s" y="%s"%s>%s</text>`,
		class, at, coordinate(p.x), coordinate(p.y), turn, html.EscapeString(text))
}

// textWidth guesses the width of a text of the charts' size, for a wide face.
func textWidth(s string) float64 { return 7 * float64(utf8.RuneCountInString(s)) }
