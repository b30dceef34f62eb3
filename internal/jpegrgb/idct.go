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
// constants, two extra bits between the passes.
func idct(dst []uint8, stride int, z *[64]int32) {
	for x := range 8 {
		pass(z, x, 8, 11)
	}
	for y := range 8 {
		pass(z, 8*y, 1, 18)
		row := dst[y*stride : y*stride+8]
		for x := range row {
			row[x] = clamp8(int(z[8*y+x]) + 128)
		}
	}
}

// pass transforms eight values that stand step apart and drops shift bits.
func pass(z *[64]int32, at, step int, shift uint) {
	v := func(i int) int32 { return z[at+i*step] }
	z1 := (v(2) + v(6)) * fix0541
	t2, t3 := z1-v(6)*fix1847, z1+v(2)*fix0765
	t0, t1 := (v(0)+v(4))<<13, (v(0)-v(4))<<13
	e0, e3, e1, e2 := t0+t3, t0-t3, t1+t2, t1-t2

	o0, o1, o2, o3 := v(7), v(5), v(3), v(1)
	z1, z2, z3, z4 := o0+o3, o1+o2, o0+o2, o1+o3
	z5 := (z3 + z4) * fix1175
	z1, z2 = -z1*fix0899, -z2*fix2562
	z3, z4 = z5-z3*fix1961, z5-z4*fix0390
	o0 = o0*fix0298 + z1 + z3
	o1 = o1*fix2053 + z2 + z4
	o2 = o2*fix3072 + z2 + z3
	o3 = o3*fix1501 + z1 + z4

	half := int32(1) << (shift - 1)
	for i, p := range [4][2]int32{{e0, o3}, {e1, o2}, {e2, o1}, {e3, o0}} {
		z[at+i*step] = (p[0] + p[1] + half) >> shift
		z[at+(7-i)*step] = (p[0] - p[1] + half) >> shift
	}
}
