package report

import (
	"fmt"
	"image"
	"image/draw"
	"sort"

	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/font"
)

// Tile is one image of a grid or gallery.
type Tile struct {
	Image   image.Image
	Label   string
	Path    string
	Loss    float64
	Queries int
}

// Pixels of a grid.
const (
	thumb  = 96 // a thumbnail's side
	gap    = 16
	barH   = 5
	cell   = thumb + 58 // with bar and two lines of text
	header = 68
	across = 8
)

// Grid draws the images of a batch ordered by the queries they got, most first,
// each over a bar of its queries against the most, their number, its label and
// its loss.
func Grid(title string, tiles []Tile) (image.Image, error) {
	sorted := append([]Tile(nil), tiles...)
	sort.SliceStable(sorted, func(a, b int) bool { return sorted[a].Queries > sorted[b].Queries })
	top, total := 1, 0
	for _, t := range sorted {
		top, total = max(top, t.Queries), total+t.Queries
	}
	cols := min(across, max(4, len(sorted)))
	rows := (len(sorted) + cols - 1) / cols
	dst := image.NewRGBA(image.Rect(0, 0, gap+cols*(thumb+gap), header+rows*cell+gap/2))
	draw.Draw(dst, dst.Rect, image.NewUniform(paper), image.Point{}, draw.Src)
	var faces [3]font.Face
	for i, size := range []float64{18, 13, 11} {
		ttf := medium
		if i == 2 {
			ttf = regular
		}
		f, err := face(ttf, size)
		if err != nil {
			return nil, err
		}
		faces[i] = f
	}
	wide := dst.Rect.Dx() - 2*gap
	write(dst, faces[0], ink, gap, 30, clip(faces[0], title, wide))
	lead := fmt.Sprintf("%d images, %d queries, most first; label and loss below", len(sorted), total)
	write(dst, faces[2], soft, gap, 50, clip(faces[2], lead, wide))
	for i, t := range sorted {
		t.draw(dst, image.Pt(gap+i%cols*(thumb+gap), header+i/cols*cell), top, faces[1], faces[2])
	}
	return dst, nil
}

// draw draws one tile with its upper left corner at p.
func (t Tile) draw(dst *image.RGBA, p image.Point, top int, number, small font.Face) {
	box := image.Rect(p.X, p.Y, p.X+thumb, p.Y+thumb)
	if t.Image != nil && !t.Image.Bounds().Empty() {
		xdraw.CatmullRom.Scale(dst, fit(t.Image.Bounds(), box), t.Image, t.Image.Bounds(), draw.Over, nil)
	} else {
		draw.Draw(dst, box, image.NewUniform(rule), image.Point{}, draw.Src)
	}
	bar := image.Rect(p.X, p.Y+thumb+4, p.X+thumb, p.Y+thumb+4+barH)
	draw.Draw(dst, bar, image.NewUniform(rule), image.Point{}, draw.Src)
	bar.Max.X = p.X + max(1, thumb*max(0, t.Queries)/top)
	draw.Draw(dst, bar, image.NewUniform(accent), image.Point{}, draw.Src)
	write(dst, number, ink, p.X, p.Y+thumb+25, fmt.Sprint(t.Queries))
	loss := Fixed(t.Loss, 2)
	w := font.MeasureString(small, loss).Ceil()
	write(dst, small, soft, p.X, p.Y+thumb+40, clip(small, t.Label, thumb-w-6))
	write(dst, small, soft, p.X+thumb-w, p.Y+thumb+40, loss)
}

// fit is the largest rectangle of a shape that is centred in a box.
func fit(shape, box image.Rectangle) image.Rectangle {
	w, h := box.Dx(), box.Dy()
	if shape.Dx() > shape.Dy() {
		h = max(1, h*shape.Dy()/shape.Dx())
	} else {
		w = max(1, w*shape.Dx()/shape.Dy())
	}
	at := image.Pt(box.Min.X+(box.Dx()-w)/2, box.Min.Y+(box.Dy()-h)/2)
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(w, h))}
}
