package imagefile

import "image"

// fromYCbCr makes RGB of the planes of a lossy WebP as libwebp does by
// default: colour is interpolated with weights of 9, 3, 3 and 1 sixteenths,
// rounded in its two steps (src/dsp/upsampling.c), and converted in fixed
// point (src/dsp/yuv.h).
func fromYCbCr(im *image.YCbCr) *Image {
	w, h := im.Rect.Dx(), im.Rect.Dy()
	out := &Image{w, h, make([]uint8, 3*w*h)}
	cw, ch := (w+1)/2, (h+1)/2
	plane := func(p []uint8, row int) []uint8 { return p[row*im.CStride : row*im.CStride+cw] }
	u, v := make([]uint8, w), make([]uint8, w)
	for y := range h {
		near, far := y/2, y/2-1+y%2*2
		if far < 0 || far >= ch {
			far = near
		}
		interpolate(u, plane(im.Cb, near), plane(im.Cb, far))
		interpolate(v, plane(im.Cr, near), plane(im.Cr, far))
		row := im.Y[y*im.YStride : y*im.YStride+w]
		for x, l := range row {
			toRGB(out.Pix[3*(y*w+x):], int32(l), int32(u[x]), int32(v[x]))
		}
	}
	return out
}

// interpolate doubles a row of colour; near weighs three times as much as far,
// the row on the other side.
func interpolate(dst, near, far []uint8) {
	dst[0] = uint8((3*int(near[0]) + int(far[0]) + 2) >> 2)
	for x := 1; x < len(near); x++ {
		a, b := int(near[x-1]), int(near[x])
		c, d := int(far[x-1]), int(far[x])
		sum := a + b + c + d + 8
		falling, rising := (sum+2*(b+c))>>3, (sum+2*(a+d))>>3
		dst[2*x-1] = uint8((falling + a) >> 1)
		if 2*x < len(dst) {
			dst[2*x] = uint8((rising + b) >> 1)
		}
	}
	if n := len(near) - 1; len(dst)%2 == 0 {
		dst[len(dst)-1] = uint8((3*int(near[n]) + int(far[n]) + 2) >> 2)
	}
}

// toRGB is VP8YuvToRgb: BT.601 of the range 16 to 235, 14 bits after the
// point, of which 8 are dropped before the sums.
func toRGB(dst []uint8, y, u, v int32) {
	l := y * 19077 >> 8
	dst[0] = clip14(l + v*26149>>8 - 14234)
	dst[1] = clip14(l - u*6419>>8 - v*13320>>8 + 8708)
	dst[2] = clip14(l + u*33050>>8 - 17685)
}

func clip14(v int32) uint8 { return uint8(min(max(v>>6, 0), 255)) }
