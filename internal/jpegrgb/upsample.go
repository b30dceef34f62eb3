package jpegrgb

import "image"

// convert writes a decoded JPEG as RGB triples (3·W·H bytes) the way libjpeg
// does it by default, so that pixels are those that PIL, OpenCV and every
// Python pipeline see: subsampled chroma is interpolated with a triangle filter
// ("fancy upsampling", libjpeg jdsample.c), where Go's own colour model repeats
// the nearest sample. Go's At differs from libjpeg by up to tens of levels at
// colour edges, which moves a ViT's logits by tenths.
func convert(dst []uint8, im *image.YCbCr) {
	b := im.Rect
	w, h := b.Dx(), b.Dy()
	var cb, cr []uint8
	switch im.SubsampleRatio {
	case image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio422:
		if w <= 4 { // libjpeg repeats samples where there are two columns or fewer
			break
		}
		tall := im.SubsampleRatio == image.YCbCrSubsampleRatio420
		cb = triangle(im.Cb, im.CStride, (w+1)/2, h, tall)
		cr = triangle(im.Cr, im.CStride, (w+1)/2, h, tall)
	}
	stride := 2 * ((w + 1) / 2)
	for y := 0; y < h; y++ {
		for x := 0; x < w; x++ {
			var u, v uint8
			if cb != nil {
				u, v = cb[y*stride+x], cr[y*stride+x]
			} else {
				o := im.COffset(b.Min.X+x, b.Min.Y+y)
				u, v = im.Cb[o], im.Cr[o]
			}
			rgb(dst[3*(y*w+x):], im.Y[im.YOffset(b.Min.X+x, b.Min.Y+y)], u, v)
		}
	}
}

// triangle doubles a chroma plane of cw columns in width, and in height where
// tall, to h rows: each sample weighs 3/4 and its neighbour on the other side
// 1/4, with libjpeg's alternating rounding.
func triangle(src []uint8, stride, cw, h int, tall bool) []uint8 {
	out := make([]uint8, 2*cw*h)
	sum := make([]int, cw)
	scale, bias := 4, 1
	rows := h
	if tall {
		scale, bias, rows = 16, 7, (h+1)/2
	}
	for y := 0; y < h; y++ {
		near, far := y, y
		if tall {
			near = y / 2
			far = min(rows-1, near+1)
			if y%2 == 0 {
				far = max(0, near-1)
			}
		}
		for x := range sum {
			sum[x] = int(src[near*stride+x])
			if tall {
				sum[x] = 3*sum[x] + int(src[far*stride+x])
			}
		}
		row := out[y*2*cw : (y+1)*2*cw]
		for x, s := range sum {
			left, right := sum[max(0, x-1)], sum[min(cw-1, x+1)]
			// 420 rounds by 8 on the left and 7 on the right, 422 by 1 and 2.
			lo, hi := bias, 2
			if tall {
				lo, hi = 8, bias
			}
			row[2*x] = uint8((3*s + left + lo) / scale)
			row[2*x+1] = uint8((3*s + right + hi) / scale)
			if !tall && x == 0 {
				row[0] = uint8(s)
			}
			if !tall && x == cw-1 {
				row[2*x+1] = uint8(s)
			}
		}
	}
	return out
}

// rgb is libjpeg's fixed-point conversion (jdcolor.c, 16 fractional bits).
func rgb(dst []uint8, y, cb, cr uint8) {
	const half = 1 << 15
	u, v := int(cb)-128, int(cr)-128
	r := int(y) + (91881*v+half)>>16
	g := int(y) + (-22554*u-46802*v+half)>>16
	b := int(y) + (116130*u+half)>>16
	dst[0], dst[1], dst[2] = clamp8(r), clamp8(g), clamp8(b)
}

func clamp8(v int) uint8 { return uint8(max(0, min(255, v))) }
