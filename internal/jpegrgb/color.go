package jpegrgb

// space is how the components are to be read: it writes a row of pixels from a
// row of each component.
type space func(dst []uint8, rows [][]uint8)

// guessSpace chooses by the rules of libjpeg (jdapimin.c). JFIF's marker means
// YCbCr whatever Adobe's says. Without either, three components are YCbCr
// unless they are called R, G and B.
func (d *decoder) guessSpace() (space, error) {
	comps := d.frame.comps
	switch len(comps) {
	case 1:
		return gray, nil
	case 3:
		named := comps[0].id == 'R' && comps[1].id == 'G' && comps[2].id == 'B'
		if !d.jfif && (d.adobe == 0 || d.adobe < 0 && named) {
			return plain, nil
		}
		return yCbCr, nil
	}
	switch {
	case d.adobe < 0:
		return nil, unsupported("a JPEG of 4 components without Adobe's marker; how its colours are meant is not known")
	case d.adobe == 0:
		return cmyk, nil
	}
	return ycck, nil
}

// rgb interpolates the subsampled components and converts.
func (f *frame) rgb() []uint8 {
	out := make([]uint8, 3*f.w*f.h)
	ups, rows := make([]*upsampler, len(f.comps)), make([][]uint8, len(f.comps))
	for i, c := range f.comps {
		ups[i] = newUpsampler(f, c)
	}
	for y := range f.h {
		for i, u := range ups {
			rows[i] = u.fill(u, y)[:f.w]
		}
		f.space(out[3*y*f.w:3*(y+1)*f.w], rows)
	}
	return out
}

func gray(dst []uint8, rows [][]uint8) {
	for x, v := range rows[0] {
		p := (*[3]uint8)(dst[3*x:])
		p[0], p[1], p[2] = v, v, v
	}
}

func plain(dst []uint8, rows [][]uint8) {
	g, b := rows[1], rows[2]
	for x, v := range rows[0] {
		p := (*[3]uint8)(dst[3*x:])
		p[0], p[1], p[2] = v, g[x], b[x]
	}
}

// yCbCr is libjpeg's fixed-point conversion (jdcolor.c, 16 fractional bits).
func yCbCr(dst []uint8, rows [][]uint8) {
	const half = 1 << 15
	ys := rows[0]
	cbs, crs := rows[1][:len(ys)], rows[2][:len(ys)]
	for x, luma := range ys {
		y, u, v := int32(luma), int32(cbs[x])-128, int32(crs[x])-128
		p := (*[3]uint8)(dst[3*x:])
		p[0] = clamp8(y + (91881*v+half)>>16)
		p[1] = clamp8(y + (-22554*u-46802*v+half)>>16)
		p[2] = clamp8(y + (116130*u+half)>>16)
	}
}

// cmyk takes inks as Adobe writes them, 255 for none, and mixes them as PIL
// does (Convert.c): each of cyan, magenta and yellow darkens what black leaves.
func cmyk(dst []uint8, rows [][]uint8) {
	for x, k := range rows[3] {
		for i := range 3 {
			dst[3*x+i] = ink(rows[i][x], k)
		}
	}
}

// ycck is cmyk with the first three inks as YCbCr of their complements.
func ycck(dst []uint8, rows [][]uint8) {
	yCbCr(dst, rows[:3])
	for x, k := range rows[3] {
		for i := range 3 {
			dst[3*x+i] = ink(255-dst[3*x+i], k)
		}
	}
}

// ink is what is left of light under an ink and black, both 255 for none.
func ink(v, k uint8) uint8 {
	t := int32(255-v)*int32(k) + 128
	return uint8(int32(k) - (t>>8+t)>>8)
}
