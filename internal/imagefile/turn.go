package imagefile

// turn returns a picture as its EXIF orientation of 1 to 8 says that it is to
// be seen (Exif 2.3, tag 274). Orientation 1, or any other number, is the
// picture itself.
func turn(im *Image, orientation int) *Image {
	w, h := im.Width, im.Height
	// the stored place of the pixel at x, y of the upright picture
	var from func(x, y int) (int, int)
	switch orientation {
	case 2: // mirrored
		from = func(x, y int) (int, int) { return w - 1 - x, y }
	case 3: // upside down
		from = func(x, y int) (int, int) { return w - 1 - x, h - 1 - y }
	case 4: // upside down and mirrored
		from = func(x, y int) (int, int) { return x, h - 1 - y }
	case 5: // mirrored along the diagonal
		from = func(x, y int) (int, int) { return y, x }
	case 6: // to be turned clockwise
		from = func(x, y int) (int, int) { return y, h - 1 - x }
	case 7: // mirrored along the other diagonal
		from = func(x, y int) (int, int) { return w - 1 - y, h - 1 - x }
	case 8: // to be turned counterclockwise
		from = func(x, y int) (int, int) { return w - 1 - y, x }
	default:
		return im
	}
	out := &Image{w, h, make([]uint8, len(im.Pix))}
	if orientation >= 5 {
		out.Width, out.Height = h, w
	}
	at := 0
	for y := range out.Height {
		for x := range out.Width {
			sx, sy := from(x, y)
			copy(out.Pix[at:at+3], im.Pix[3*(sy*w+sx):])
			at += 3
		}
	}
	return out
}
