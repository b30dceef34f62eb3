package report

import (
	"encoding/csv"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestShares: an interval of a share that reaches beyond 0 and 1 stretches no axis.
func TestShares(t *testing.T) {
	c := Chart{Percent: true, Series: []Series{{Xs: []float64{0, 1}, Ys: []float64{.5, .9}, Lo: []float64{-3, .8},
		Hi: []float64{4, math.NaN()}}}}
	f := Forest{Percent: true, Level: math.NaN(),
		Rows: []Estimate{{Name: "a", Value: .5, Lo: -3, Hi: 4, Also: math.NaN()}}}
	for _, page := range []string{string(c.SVG()), string(f.SVG())} {
		if strings.Contains(page, ">400%") || strings.Contains(page, ">-") || !strings.Contains(page, ">100%") {
			t.Errorf("the axis is not that of a share: %s", page)
		}
	}
	if c.Series[0].Hi[0] != 4 || f.Rows[0].Hi != 4 {
		t.Error("the numbers themselves were changed")
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		want   string
	}{
		{0, 1, "0.0 0.2 0.4 0.6 0.8 1.0"}, {0.62, 1.03, "0.7 0.8 0.9 1.0"}, {0, 1500, "0 500 1k 1.5k"},
		{-2, 2, "-2 -1 0 1 2"}, {0, 5.4e6, "0 2M 4M"},
	} {
		at, d := ticks(c.lo, c.hi, 5)
		var got []string
		for _, v := range at {
			got = append(got, tickLabel(v, d, false))
		}
		if s := strings.Join(got, " "); s != strings.Replace(c.want, "0.0 ", "0 ", 1) {
			t.Errorf("%v to %v: %s, want %s", c.lo, c.hi, s, c.want)
		}
	}
	if s := tickLabel(math.Copysign(0, -1), 1, true); s != "0%" {
		t.Errorf("negative zero is %s", s)
	}
}

func TestFormats(t *testing.T) {
	nan := math.NaN()
	for got, want := range map[string]string{
		Count(268800): "268\u2009800", Count(-1234567): "−1\u2009234\u2009567", Count(12): "12",
		Short(278100): "278k", Short(999.9): "1k", Short(1.5): "1.5", Short(nan): Missing,
		Operations(1.39e12): "1.39 TFLOP", Operations(math.Inf(1)): Missing, Operations(0): Missing,
		Duration(9.1e-4): "910 µs", Duration(0.067): "67.0 ms", Duration(14.2): "14.2 s", Duration(300): "5.0 min",
		Duration(9000): "2.5 h", Duration(0): "0 s",
		Percent(0.534): "53.4%", Percent(nan): Missing, Interval(0.5, nan, 2): Missing,
		Interval(0.5, 0.25, 2): "0.50 to 0.25",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A value that is no number parts a line in two, and every point is inside.
func TestChartGaps(t *testing.T) {
	c := Chart{Title: "t",
		Series: []Series{{Name: "a", Xs: []float64{0, 1, 2, 3, 4}, Ys: []float64{1, 2, math.NaN(), 1e9, 1}}}}
	s := string(c.svg(300, 200, ""))
	if n := strings.Count(s, `class="line s0"`); n != 2 {
		t.Errorf("%d lines, want 2: %s", n, s)
	}
	if n := strings.Count(s, "<circle"); n != 4 {
		t.Errorf("%d dots, want 4", n)
	}
	for _, c := range []Chart{{}, {Series: []Series{{Xs: []float64{1}, Ys: []float64{math.NaN()}}}},
		{Series: []Series{{Xs: []float64{3}, Ys: []float64{3}}}},
		{Series: []Series{{Xs: []float64{1, 2, 3}, Ys: []float64{1e300, -1e300, 0}}}}} {
		if s := string(c.SVG()); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
			t.Errorf("%v: %s", c, s)
		}
	}
}

func TestThinKeepsMeanAndEnd(t *testing.T) {
	s := Series{}
	for i := range 10001 {
		s.Xs, s.Ys = append(s.Xs, float64(i)), append(s.Ys, float64(i%2))
	}
	s.Ys[10000] = 7
	s = s.thin()
	if n := len(s.Xs); n > most+1 || len(s.Ys) != n {
		t.Fatalf("%d and %d points", n, len(s.Ys))
	}
	if s.Xs[len(s.Xs)-1] != 10000 || s.Ys[len(s.Ys)-1] != 7 {
		t.Errorf("the last point is %v, %v", s.Xs[len(s.Xs)-1], s.Ys[len(s.Ys)-1])
	}
	for i, v := range s.Ys[:len(s.Ys)-2] {
		if math.Abs(v-0.5) > 0.03 {
			t.Errorf("mean %d is %v", i, v)
		}
	}
}

func TestSmooth(t *testing.T) {
	v := make([]float64, 200)
	for i := range v {
		v[i] = float64(i)
	}
	v[50] = math.NaN()
	for i, s := range smooth(v) {
		if i > 10 && i < 190 && math.Abs(s-float64(i)) > 1 {
			t.Errorf("a straight line became %v at %d", s, i)
		}
	}
}

func TestForestCutsWildOnes(t *testing.T) {
	f := Forest{Level: 1, Rows: []Estimate{{Name: "a", Value: 0.7, Lo: 0.6, Hi: 0.8},
		{Name: "b", Value: 50, Lo: 40, Hi: 60}}}
	if x0, x1 := f.ends(); x0 > 0.6 || x1 != 2 {
		t.Errorf("axis from %v to %v", x0, x1)
	}
	if s := string(f.SVG()); strings.Count(s, "<circle") != 2 || !strings.Contains(s, "50.000") {
		t.Error("the wild estimate is drawn as a dot, or its number is not written")
	}
}

func TestBarsShares(t *testing.T) {
	b := Bars{Parts: []string{"a", "b", "c", "d"}}
	s := b.Slices(Bar{Values: []float64{1, 0, 3, math.NaN()}, Labels: []string{"1 s", "", "3 s"}})
	if len(s) != 2 || s[0].Percent != 25 || s[1].Percent != 75 || s[1].Color != 2 || s[1].Hint != "c: 3 s (75.0%)" {
		t.Errorf("%+v", s)
	}
}

// The picture of a chart holds its colours: line, band and paper.
func TestChartImage(t *testing.T) {
	c := sampleCompare().Curves()
	c.Series = c.Series[:2]
	im, err := c.Image(800, 500)
	if err != nil {
		t.Fatal(err)
	}
	if im.Bounds() != image.Rect(0, 0, 800, 500) {
		t.Errorf("bounds %v", im.Bounds())
	}
	for _, want := range []color.RGBA{paper, rule, palette[0], palette[1]} {
		if count(im, want) < 50 {
			t.Errorf("%d pixels of %v", count(im, want), want)
		}
	}
}

func count(im image.Image, c color.RGBA) (n int) {
	b := im.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if im.At(x, y) == c {
				n++
			}
		}
	}
	return n
}

// The grid shows the image with the most queries first, whole and in its shape.
func TestGrid(t *testing.T) {
	flat := func(w, h int, c color.RGBA) image.Image {
		return crop(image.NewUniform(c), image.Rect(5, 5, 5+w, 5+h))
	}
	red, green := color.RGBA{200, 0, 0, 255}, color.RGBA{0, 150, 0, 255}
	im, err := Grid("a title that is much too long for so small a picture, and is therefore cut off at its edge", []Tile{
		{Image: flat(4, 4, red), Label: "few", Queries: 2, Loss: 1},
		{Image: flat(64, 32, green), Label: "many", Queries: 8, Loss: math.NaN()},
		{Label: "no picture"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := im.At(gap+thumb/2, header+thumb/2); got != green {
		t.Errorf("first tile %v, want green", got)
	}
	if got := im.At(gap+thumb/2, header+4); got != paper {
		t.Errorf("above a wide image %v, want paper", got)
	}
	if got := im.At(gap+thumb+gap+thumb/2, header+4); got != red {
		t.Errorf("second tile %v, want red", got)
	}
	bar := header + thumb + 6
	if a, b := im.At(gap+thumb-2, bar), im.At(gap+thumb+gap+thumb/2, bar); a != accent || b != rule {
		t.Errorf("bars %v and %v", a, b)
	}
	if im, err := Grid("", nil); err != nil || im.Bounds().Empty() {
		t.Errorf("no tiles: %v", err)
	}
}

func TestGalleryData(t *testing.T) {
	g := Gallery{Images: []Tile{{Image: crop(image.NewUniform(ink), image.Rect(3, 3, 903, 303))}, {}}}
	for i := range g.Images {
		d, err := g.Data(i)
		if err != nil || !strings.HasPrefix(string(d), "data:image/png;base64,") || len(d) > 3000 {
			t.Errorf("image %d: %d bytes, %v", i, len(d), err)
		}
	}
}

func TestCSV(t *testing.T) {
	rows := [][]string{{`a "quoted", b`, "1"}, {"line\nbreak", ""}}
	var b strings.Builder
	if err := CSV(&b, []string{"name", "n"}, rows); err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(got) != 3 || !slices.Equal(got[1], rows[0]) || !slices.Equal(got[2], rows[1]) {
		t.Errorf("%q, %v", got, err)
	}
	if err := CSV(&b, []string{"name"}, rows); err == nil {
		t.Error("a row that is too long is written")
	}
}
