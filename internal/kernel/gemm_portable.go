package kernel

import "unsafe"

// portable is the engine in plain Go: the yardstick the others are checked
// against, and the last resort.
var portable = &engine{name: "portable", mr: 2, nr: 4, mc: 64, kc: 256, nc: 256,
	tile: []tileFunc{nil, tile1x4Portable, tile2x4Portable}}

func tile1x4Portable(t *tileArgs) { tilePortable(t, 1) }
func tile2x4Portable(t *tileArgs) { tilePortable(t, 2) }

// tilePortable computes tiles of rows×4, rows 1 or 2.
func tilePortable(t *tileArgs, rows uintptr) {
	second := (rows - 1) * t.rowStride // with one row it is computed twice
	for n := range t.count {
		a := unsafe.Add(t.a, n*t.tileStep)
		b := unsafe.Slice((*float32)(t.b), 4*t.k)
		var s0, s1, s2, s3, r0, r1, r2, r3 float32
		for p := range t.k {
			x := *(*float32)(unsafe.Add(a, p*t.kStride))
			y := *(*float32)(unsafe.Add(a, p*t.kStride+second))
			b4 := b[4*p:][:4]
			s0, s1, s2, s3 = s0+x*b4[0], s1+x*b4[1], s2+x*b4[2], s3+x*b4[3]
			r0, r1, r2, r3 = r0+y*b4[0], r1+y*b4[1], r2+y*b4[2], r3+y*b4[3]
		}
		storePortable(t, n*rows, [4]float32{s0, s1, s2, s3})
		if rows > 1 {
			storePortable(t, n*rows+1, [4]float32{r0, r1, r2, r3})
		}
	}
}

// storePortable finishes row i of the tiles.
func storePortable(t *tileArgs, i uintptr, v [4]float32) {
	for j := range v {
		v[j] *= t.scale
	}
	if t.d != nil {
		for j, d := range unsafe.Slice((*float32)(unsafe.Add(t.d, i*t.ldd)), 4) {
			v[j] += d
		}
	}
	if t.bias != nil {
		for j, d := range unsafe.Slice((*float32)(t.bias), 4) {
			v[j] += d
		}
	}
	copy(unsafe.Slice((*float32)(unsafe.Add(t.c, i*t.ldc)), 4), v[:])
}
