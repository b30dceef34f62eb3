package data

import (
	"image"
	"image/color"
	"image/draw"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

const (
	sheetThumb = 64 // pixels of a thumbnail
	sheetGap   = 4
	sheetLabel = 104 // width of the class names
	sheetRows  = 40  // classes on a sheet
)

// ContactSheet draws one row per class, its name and evenly spaced examples,
// w pixels wide (at least one example's width). Classes beyond the first 40 are
// left out. An image that cannot be read leaves a crossed field.
func ContactSheet(ds Dataset, w int) image.Image {
	columns := max((w-sheetLabel-sheetGap)/(sheetThumb+sheetGap), 1)
	classes := min(len(ds.Classes()), sheetRows)
	members := make([][]int, len(ds.Classes()))
	for i := range ds.Len() {
		c := ds.Info(i).Label
		members[c] = append(members[c], i)
	}
	sheet := image.NewRGBA(image.Rect(0, 0, sheetLabel+sheetGap+columns*(sheetThumb+sheetGap),
		sheetGap+classes*(sheetThumb+sheetGap)))
	draw.Draw(sheet, sheet.Rect, image.White, image.Point{}, draw.Src)
	for c := range classes {
		y := sheetGap + c*(sheetThumb+sheetGap)
		label(sheet, ds.Classes()[c], sheetGap, y+sheetThumb/2)
		m := members[c]
		for k := range min(columns, len(m)) {
			x := sheetLabel + k*(sheetThumb+sheetGap)
			thumbnail(sheet, ds, m[k*len(m)/min(columns, len(m))], x, y)
		}
	}
	return sheet
}

// label writes as much of a name as fits.
func label(dst draw.Image, text string, x, y int) {
	const most = (sheetLabel - 2*sheetGap) / 7 // the font's advance
	if r := []rune(text); len(r) > most {
		text = string(r[:most])
	}
	d := font.Drawer{Dst: dst, Src: image.Black, Face: basicfont.Face7x13, Dot: fixed.P(x, y+4)}
	d.DrawString(text)
}

// thumbnail draws an image into a square field, in its proportions.
func thumbnail(dst *image.RGBA, ds Dataset, i, x, y int) {
	field := image.Rect(x, y, x+sheetThumb, y+sheetThumb)
	im, err := ds.Image(i)
	if err != nil {
		draw.Draw(dst, field, image.NewUniform(color.RGBA{230, 200, 200, 255}), image.Point{}, draw.Src)
		for k := range sheetThumb {
			dst.Set(x+k, y+k, color.Black)
			dst.Set(x+sheetThumb-1-k, y+k, color.Black)
		}
		return
	}
	w, h := sheetThumb, sheetThumb
	if im.Width > im.Height {
		h = max(sheetThumb*im.Height/im.Width, 1)
	} else {
		w = max(sheetThumb*im.Width/im.Height, 1)
	}
	filter := Bilinear
	if im.Width <= sheetThumb && im.Height <= sheetThumb {
		filter = Nearest // small images as the model sees them
	}
	at := image.Pt(x+(sheetThumb-w)/2, y+(sheetThumb-h)/2)
	draw.Draw(dst, image.Rectangle{at, at.Add(image.Pt(w, h))}, Resize(im, w, h, filter).RGBA(), image.Point{}, draw.Src)
}
