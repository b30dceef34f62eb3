package report

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// The colours of pictures, on white.
var (
	ink    = color.RGBA{0x1c, 0x1f, 0x23, 0xff}
	soft   = color.RGBA{0x55, 0x5b, 0x63, 0xff}
	faint  = color.RGBA{0x9a, 0xa0, 0xa8, 0xff}
	rule   = color.RGBA{0xe6, 0xe8, 0xeb, 0xff}
	paper  = color.RGBA{0xff, 0xff, 0xff, 0xff}
	accent = palette[0]
)

// Go's own fonts, which are in the program.
var regular, medium = goregular.TTF, gomedium.TTF

// face is a font at a size in pixels.
func face(ttf []byte, size float64) (font.Face, error) {
	f, err := opentype.Parse(ttf)
	if err != nil {
		return nil, fmt.Errorf("report: font: %w", err)
	}
	return opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
}

func write(dst draw.Image, f font.Face, c color.Color, x, y int, s string) {
	d := font.Drawer{Dst: dst, Src: image.NewUniform(c), Face: f, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

// clip shortens a text to a width in pixels, with an ellipsis.
func clip(f font.Face, s string, width int) string {
	if font.MeasureString(f, s).Ceil() <= width {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && font.MeasureString(f, string(r)+"…").Ceil() > width {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}
