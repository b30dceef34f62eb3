package jpegrgb

// Fixed-point constants of 13 fractional bits.
const (
	fix0298 = 2446
	fix0390 = 3196
	fix0541 = 4433
	fix0765 = 6270
	fix0899 = 7373
	fix1175 = 9633
	fix1501 = 12299
	fix1847 = 15137
	fix1961 = 16069
	fix2053 = 16819
	fix2562 = 20995
	fix3072 = 25172
)

// idct is the 8×8 inverse transform of Loeffler, Ligtenberg and Moschytz
// (ICASSP 1989) with the rounding of libjpeg's default "islow" version: 13-bit
// constants, two extra bits between the passes. Where values leave 16 bits,
// which no picture makes them do, they wrap or saturate as in libjpeg-turbo's
// vector code on x86.
func idct(dst []uint8, stride int, coef *[64]int16, quant *[64]int32) {
	var z [64]int32
	below := int16(0)
	for x := range 8 {
		c := (*[57]int16)(coef[x:])
		q := (*[57]int32)(quant[x:])
		rows := c[8] | c[16] | c[24] | c[32] | c[40] | c[48] | c[56]
		below |= rows
		v0 := wrap(int32(c[0]) * q[0])
		out := (*[57]int32)(z[x:])
		if rows == 0 {
			v := saturate(v0 << 2)
			out[0], out[8], out[16], out[24], out[32], out[40], out[48], out[56] = v, v, v, v, v, v, v, v
			continue
		}
		r0, r1, r2, r3, r4, r5, r6, r7 := butterfly(v0, wrap(int32(c[8])*q[8]), wrap(int32(c[16])*q[16]),
			wrap(int32(c[24])*q[24]), wrap(int32(c[32])*q[32]), wrap(int32(c[40])*q[40]),
			wrap(int32(c[48])*q[48]), wrap(int32(c[56])*q[56]))
		const half = 1 << 10
		out[0], out[8] = saturate((r0+half)>>11), saturate((r1+half)>>11)
		out[16], out[24] = saturate((r2+half)>>11), saturate((r3+half)>>11)
		out[32], out[40] = saturate((r4+half)>>11), saturate((r5+half)>>11)
		out[48], out[56] = saturate((r6+half)>>11), saturate((r7+half)>>11)
	}
	if below == 0 { // all rows are the same
		for x := range 8 {
			z[x] = wrap(wrap(int32(coef[x])*quant[x]) << 2)
		}
		idctRow(dst, (*[8]int32)(z[:]))
		for y := 1; y < 8; y++ {
			copy(dst[y*stride:y*stride+8], dst[:8])
		}
		return
	}
	for y := range 8 {
		idctRow(dst[y*stride:], (*[8]int32)(z[8*y:]))
	}
}

// idctRow is the second pass, over one row.
func idctRow(dst []uint8, z *[8]int32) {
	r0, r1, r2, r3, r4, r5, r6, r7 := butterfly(z[0], z[1], z[2], z[3], z[4], z[5], z[6], z[7])
	const half = 1 << 17
	row := (*[8]uint8)(dst)
	row[0], row[1] = clamp8((r0+half)>>18+128), clamp8((r1+half)>>18+128)
	row[2], row[3] = clamp8((r2+half)>>18+128), clamp8((r3+half)>>18+128)
	row[4], row[5] = clamp8((r4+half)>>18+128), clamp8((r5+half)>>18+128)
	row[6], row[7] = clamp8((r6+half)>>18+128), clamp8((r7+half)>>18+128)
}

// butterfly transforms eight values, with 13 fractional bits added.
func butterfly(v0, v1, v2, v3, v4, v5, v6, v7 int32) (r0, r1, r2, r3, r4, r5, r6, r7 int32) {
	z1 := (v2 + v6) * fix0541
	t2, t3 := z1-v6*fix1847, z1+v2*fix0765
	t0, t1 := wrap(v0+v4)<<13, wrap(v0-v4)<<13
	e0, e3, e1, e2 := t0+t3, t0-t3, t1+t2, t1-t2

	z3, z4 := wrap(v7+v3), wrap(v5+v1)
	z5 := (z3 + z4) * fix1175
	z3, z4 = z5-z3*fix1961, z5-z4*fix0390
	z1, z2 := (v7+v1)*fix0899, (v5+v3)*fix2562
	o0 := v7*fix0298 - z1 + z3
	o1 := v5*fix2053 - z2 + z4
	o2 := v3*fix3072 - z2 + z3
	o3 := v1*fix1501 - z1 + z4
	return e0 + o3, e1 + o2, e2 + o1, e3 + o0, e3 - o0, e2 - o1, e1 - o2, e0 - o3
}

// idctFlat is idct of a block with one coefficient, its mean.
func idctFlat(dst []uint8, stride int, dc int16, quant *[64]int32) {
	v := clamp8((wrap(wrap(int32(dc)*quant[0])<<2)+16)>>5 + 128)
	for y := range 8 {
		row := (*[8]uint8)(dst[y*stride:])
		*row = [8]uint8{v, v, v, v, v, v, v, v}
	}
}

func wrap(v int32) int32     { return int32(int16(v)) }
func saturate(v int32) int32 { return min(max(v, -1<<15), 1<<15-1) }

func clamp8(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^v >> 31)
	}
	return uint8(v)
}
