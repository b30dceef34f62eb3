package report

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"sort"

	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Tile is one image of a grid.
type Tile struct {
	Image   image.Image
	Label   string
	Loss    float64
	Queries int
}

const (
	thumb  = 80 // pixels of a thumbnail's side
	gap    = 12
	barH   = 6
	textH  = 16
	across = 8
)

var (
	ink    = color.RGBA{0x22, 0x22, 0x22, 0xff}
	faint  = color.RGBA{0x77, 0x77, 0x77, 0xff}
	paper  = color.RGBA{0xff, 0xff, 0xff, 0xff}
	rule   = color.RGBA{0xe4, 0xe4, 0xe4, 0xff}
	accent = color.RGBA{0x00, 0x72, 0xb2, 0xff} // Okabe and Ito's blue
)

// Grid draws the images of a batch ordered by the queries they got, most first,
// each over a bar of its share, its queries and its loss.
func Grid(title string, tiles []Tile) (image.Image, error) {
	sorted := append([]Tile(nil), tiles...)
	sort.SliceStable(sorted, func(a, b int) bool { return sorted[a].Queries > sorted[b].Queries })
	most := 1
	for _, t := range sorted {
		most = max(most, t.Queries)
	}
	cols := min(across, max(1, len(sorted)))
	rows := (len(sorted) + cols - 1) / cols
	cell := thumb + barH + 2*textH + gap
	w, h := max(420, gap+cols*(thumb+gap)), 3*gap+textH+rows*cell
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(dst, dst.Rect, image.NewUniform(paper), image.Point{}, draw.Src)
	big, err := face(15)
	if err != nil {
		return nil, err
	}
	small, err := face(11)
	if err != nil {
		return nil, err
	}
	write(dst, big, ink, gap, gap+textH, title)
	for i, t := range sorted {
		x, y := gap+i%cols*(thumb+gap), 2*gap+textH+i/cols*cell
		r := image.Rect(x, y, x+thumb, y+thumb)
		xdraw.CatmullRom.Scale(dst, r, t.Image, t.Image.Bounds(), draw.Src, nil)
		bar := image.Rect(x, y+thumb+2, x+thumb, y+thumb+barH)
		draw.Draw(dst, bar, image.NewUniform(rule), image.Point{}, draw.Src)
		bar.Max.X = x + max(1, thumb*t.Queries/most)
		draw.Draw(dst, bar, image.NewUniform(accent), image.Point{}, draw.Src)
		write(dst, small, ink, x, y+thumb+barH+13, fmt.Sprintf("%d queries", t.Queries))
		write(dst, small, faint, x, y+thumb+barH+26, clip(small, fmt.Sprintf("%s %.2f", t.Label, t.Loss), thumb))
	}
	return dst, nil
}

// face is Go's own font at a size.
func face(size float64) (font.Face, error) {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("report: font: %w", err)
	}
	return opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
}

func write(dst draw.Image, f font.Face, c color.Color, x, y int, s string) {
	d := font.Drawer{Dst: dst, Src: image.NewUniform(c), Face: f, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

// clip shortens a text to a width in pixels.
func clip(f font.Face, s string, width int) string {
	r := []rune(s)
	for len(r) > 1 && font.MeasureString(f, string(r)).Ceil() > width {
		r = r[:len(r)-1]
	}
	return string(r)
}
