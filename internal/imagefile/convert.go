package imagefile

import (
	"fmt"
	"image"
	"image/color"
)

// fromImage copies an image of the standard library's decoders. Transparency
// is dropped, so that the colour under it stays, and 16 bits are cut to the
// upper 8. Colours that were multiplied by their transparency are divided by
// it, as PIL does.
func fromImage(im image.Image) *Image {
	b := im.Bounds()
	out := &Image{b.Dx(), b.Dy(), make([]uint8, 3*b.Dx()*b.Dy())}
	switch s := im.(type) {
	case *image.RGBA:
		out.fill(s.Pix, s.Stride, 4, func(dst, p []uint8) {
			a := p[3]
			dst[0], dst[1], dst[2] = divide(p[0], a), divide(p[1], a), divide(p[2], a)
		})
	case *image.NRGBA:
		out.fill(s.Pix, s.Stride, 4, func(dst, p []uint8) { copy(dst, p[:3]) })
	case *image.NRGBA64:
		out.fill(s.Pix, s.Stride, 8, func(dst, p []uint8) { dst[0], dst[1], dst[2] = p[0], p[2], p[4] })
	case *image.RGBA64:
		out.fill(s.Pix, s.Stride, 8, func(dst, p []uint8) {
			a := p[6]
			dst[0], dst[1], dst[2] = divide(p[0], a), divide(p[2], a), divide(p[4], a)
		})
	case *image.Gray:
		out.fill(s.Pix, s.Stride, 1, func(dst, p []uint8) { dst[0], dst[1], dst[2] = p[0], p[0], p[0] })
	case *image.Gray16:
		out.fill(s.Pix, s.Stride, 2, func(dst, p []uint8) { dst[0], dst[1], dst[2] = p[0], p[0], p[0] })
	case *image.Paletted:
		colours := make([]color.NRGBA, len(s.Palette))
		for i, c := range s.Palette {
			colours[i] = color.NRGBAModel.Convert(c).(color.NRGBA)
		}
		out.fill(s.Pix, s.Stride, 1, func(dst, p []uint8) {
			c := colours[p[0]]
			dst[0], dst[1], dst[2] = c.R, c.G, c.B
		})
	default:
		panic(fmt.Sprintf("no conversion of %T", im))
	}
	return out
}

// fill converts every pixel of step bytes.
func (m *Image) fill(pix []uint8, stride, step int, pixel func(dst, src []uint8)) {
	at := 0
	for y := range m.Height {
		row := pix[y*stride : y*stride+step*m.Width]
		for x := 0; x < len(row); x += step {
			pixel(m.Pix[at:at+3], row[x:x+step])
			at += 3
		}
	}
}

// divide undoes the multiplication of a colour by its transparency as PIL's
// unpackRGBa does; nothing is known of a colour under full transparency.
func divide(v, a uint8) uint8 {
	switch a {
	case 0:
		return 0
	case 255:
		return v
	}
	return uint8(min(int(v)*255/int(a), 255))
}
