package report

import (
	"fmt"
	"html"
	"regexp"
	"strings"
)

// Standalone is charts side by side as an SVG file of its own, each w×h with its title
// and legend, light or dark. label says in words what they show.
func Standalone(dark bool, w, h float64, label string, charts ...Chart) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-label="%s">`+"\n",
		w*float64(len(charts)), h, html.EscapeString(label))
	fmt.Fprintf(&b, "<style>%s</style>\n", drawingStyle(dark))
	for i, c := range charts {
		p := newSVG(w, h, "alone", c.Title)
		c.draw(p, w, h, true)
		fmt.Fprintf(&b, "<svg x=\"%g\" width=\"%g\" height=\"%g\"%s\n", w*float64(i), w, h,
			strings.TrimPrefix(string(p.done()), "<svg"))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

var (
	drawingRule = regexp.MustCompile(`(?m)^\.(chart|grid|axis|level|line|faint|band|dot|s0)\b.*$`)
	themeRule   = regexp.MustCompile(`(?s):root\{(.*?)\}`)
	variable    = regexp.MustCompile(`(--\w+):([^;}]+)`)
	useOf       = regexp.MustCompile(`var\((--\w+)\)`)
)

// drawingStyle is what the pages' style says of drawings, with the colours written out,
// since not every reader of SVG files knows variables.
func drawingStyle(dark bool) string {
	themes := themeRule.FindAllStringSubmatch(style, 2)
	theme := themes[0][1]
	if dark {
		theme = themes[1][1]
	}
	colour := map[string]string{}
	for _, m := range variable.FindAllStringSubmatch(theme, -1) {
		colour[m[1]] = m[2]
	}
	rules := strings.Join(drawingRule.FindAllString(style, -1), "\n")
	return useOf.ReplaceAllStringFunc(rules, func(use string) string { return colour[useOf.FindStringSubmatch(use)[1]] })
}
