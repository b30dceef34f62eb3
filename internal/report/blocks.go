package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/draw"
	"image/png"
	"math"
	"sort"
	"strings"

	xdraw "golang.org/x/image/draw"
)

// Block is a part of a section.
type Block interface{ template() string }

func (c Chart) template() string { return "chart" }

// Legend are the names and colours of the series, for charts that have several.
func (c Chart) Legend() []Key {
	if len(c.Series) < 2 {
		return nil
	}
	var keys []Key
	for i, s := range c.Series {
		keys = append(keys, Key{s.Name, colorOf(s, i) % looks})
	}
	return keys
}

// Key is one entry of a legend.
type Key struct {
	Name  string
	Color int
}

// Charts are small charts side by side.
type Charts []Chart

func (Charts) template() string { return "charts" }

// Code is a text in a fixed-width face.
type Code string

func (Code) template() string { return "code" }

// Lines is how many lines it has.
func (c Code) Lines() int { return strings.Count(strings.TrimRight(string(c), "\n"), "\n") + 1 }

// Fact is a name and what it is.
type Fact struct{ Name, Value string }

// Facts is a list of facts.
type Facts []Fact

func (Facts) template() string { return "facts" }

// Bars are horizontal bars, each the whole of what it names, parted alike.
type Bars struct {
	How   string   // as of a Chart
	Parts []string // the names of the parts
	Rows  []Bar
}

// Bar is one whole of Bars.
type Bar struct {
	Name   string
	Total  string    // as it is written
	Values []float64 // one per part; those that are not positive numbers are left out
	Labels []string  // as they are written
}

func (Bars) template() string { return "bars" }

// Legend are the names and colours of the parts.
func (b Bars) Legend() []Key {
	var keys []Key
	for i, p := range b.Parts {
		keys = append(keys, Key{p, i % len(palette)})
	}
	return keys
}

// Slice is one visible part of a bar.
type Slice struct {
	Percent float64 // its width
	Color   int
	Hint    string
}

// Slices are the visible parts of a bar.
func (b Bars) Slices(r Bar) []Slice {
	var sum float64
	for _, v := range r.Values {
		if finite(v) && v > 0 {
			sum += v
		}
	}
	var out []Slice
	for i, v := range r.Values {
		if !finite(v) || v <= 0 || i >= len(b.Parts) {
			continue
		}
		hint := b.Parts[i]
		if i < len(r.Labels) {
			hint += ": " + r.Labels[i]
		}
		share := 100 * v / sum
		out = append(out, Slice{math.Round(share*1000) / 1000, i % len(palette), hint + " (" + Fixed(share, 1) + "%)"})
	}
	return out
}

// Gallery shows images ordered by the queries they got, one tab per allocator.
// The images stand in the page once.
type Gallery struct {
	ID     string // parts the names of this gallery from those of others on the page
	Images []Tile // Queries is not read
	Tabs   []Tab
}

// Tab is one order of a gallery.
type Tab struct {
	Name    string
	Queries []int // of each image; nil: in the order given, by loss
}

func (Gallery) template() string { return "gallery" }

// Shown is one image of a tab.
type Shown struct {
	Tile
	Index   int
	Percent float64 // of the most queries in the tab
	Counted bool    // queries are shown
}

// Order are the images of a tab, most queries first.
func (g Gallery) Order(t Tab) []Shown {
	var out []Shown
	top := 1
	for i, im := range g.Images {
		s := Shown{Tile: im, Index: i}
		if t.Queries != nil && i < len(t.Queries) {
			s.Queries, s.Counted = t.Queries[i], true
			top = max(top, s.Queries)
		}
		out = append(out, s)
	}
	for i := range out {
		out[i].Percent = 100 * float64(max(0, out[i].Queries)) / float64(top)
	}
	if t.Queries != nil {
		sort.SliceStable(out, func(a, b int) bool { return out[a].Queries > out[b].Queries })
	}
	return out
}

// portrait is the longest side of an image in a page, in pixels.
const portrait = 128

// Data is an image as a data URI: PNG, reduced where it is large, a grey square
// where there is none.
func (g Gallery) Data(i int) (template.URL, error) {
	im := g.Images[i].Image
	if im == nil || im.Bounds().Empty() {
		im = image.NewUniform(rule)
		im = crop(im, image.Rect(0, 0, 1, 1))
	}
	if b := im.Bounds(); max(b.Dx(), b.Dy()) > portrait {
		small := image.NewRGBA(fit(b, image.Rect(0, 0, portrait, portrait)))
		small.Rect = small.Rect.Sub(small.Rect.Min)
		xdraw.CatmullRom.Scale(small, small.Rect, im, b, draw.Src, nil)
		im = small
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, im); err != nil {
		return "", fmt.Errorf("report: image %d: %w", i, err)
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(buf.Bytes())), nil
}

// crop copies a part of an image.
func crop(im image.Image, r image.Rectangle) image.Image {
	dst := image.NewRGBA(r)
	draw.Draw(dst, r, im, r.Min, draw.Src)
	return dst
}
