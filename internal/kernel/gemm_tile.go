package kernel

import "unsafe"

// maxTile is the size of the largest tile of any engine.
const maxTile = 14 * 32

// tileArgs is what a micro-kernel is told. The field order is known to the
// generator (asm/gemm); strides are in bytes.
//
// For each of count tiles of R rows (R is the micro-kernel's own):
//
//	C[i][j] = (D[i][j] or 0) + scale·Σ_p a[i·rowStride + p·kStride]·b[p·NR + j], + bias[j] if not nil
//
// then a, c and d advance to the next tile.
type tileArgs struct {
	a         unsafe.Pointer
	rowStride uintptr // between rows of A
	kStride   uintptr // between steps of k in A
	tileStep  uintptr // between tiles in A
	b         unsafe.Pointer
	c         unsafe.Pointer
	ldc       uintptr
	d         unsafe.Pointer // added to the product, or nil; may be c
	ldd       uintptr
	bias      unsafe.Pointer // NR values, or nil
	k         uintptr
	count     uintptr
	scale     float32
	ahead     uintptr // the next panel of B, to be prefetched; never read
}

type tileFunc func(*tileArgs)

// output is where the driver sends a block of C: rows×cols at c, to which d is
// added (nil for nothing).
type output struct {
	c    []float32
	ldc  int
	d    []float32
	ldd  int
	bias []float32
}

// at moves the origin to row i, column j.
func (o output) at(i, j int) output {
	o.c = o.c[i*o.ldc+j:]
	if o.d != nil {
		o.d = o.d[i*o.ldd+j:]
	}
	if o.bias != nil {
		o.bias = o.bias[j:]
	}
	return o
}

// left is a block of A as the micro-kernels read it, strides in values.
type left struct {
	a                  []float32
	rowStride, kStride int
	// tileStep is the distance between tiles of mr rows: mr·rowStride unless
	// A is packed in panels.
	tileStep int
}

// panel multiplies m rows of A by one panel of B (k×nr at b) into the w ≤ nr
// columns of out.
func (e *engine) panel(out output, a left, m int, b []float32, w, k int, scale float32, s *Scratch) {
	t := &s.args
	t.rowStride, t.kStride, t.tileStep = bytes(a.rowStride), bytes(a.kStride), bytes(a.tileStep)
	t.b = unsafe.Pointer(&b[0])
	t.ahead = uintptr(t.b) + bytes(k*e.nr)
	t.k, t.scale = uintptr(k), scale
	if w < e.nr {
		e.edgePanel(out, a, m, w, s)
		return
	}
	t.c, t.ldc = unsafe.Pointer(&out.c[0]), bytes(out.ldc)
	t.d, t.ldd = nil, 0
	if out.d != nil {
		t.d, t.ldd = unsafe.Pointer(&out.d[0]), bytes(out.ldd)
	}
	t.bias = nil
	if out.bias != nil {
		t.bias = unsafe.Pointer(&out.bias[0])
	}
	for i := 0; i < m; {
		rows, count := e.nextTiles(m - i)
		t.a = unsafe.Pointer(&a.a[e.tileOffset(a, i)])
		t.c = unsafe.Pointer(&out.c[i*out.ldc])
		if out.d != nil {
			t.d = unsafe.Pointer(&out.d[i*out.ldd])
		}
		t.count = uintptr(count)
		e.tile[rows](t)
		i += rows * count
	}
}

// edgePanel is panel for fewer columns than the tile has: each tile goes to the
// side, with D there before it, so that a column has the bits of a whole tile's.
func (e *engine) edgePanel(out output, a left, m, w int, s *Scratch) {
	t := &s.args
	t.c, t.ldc = unsafe.Pointer(&s.edge[0]), bytes(e.nr)
	t.d, t.ldd, t.bias, t.count = nil, t.ldc, nil, 1
	if out.d != nil {
		t.d = t.c
	}
	for i := 0; i < m; {
		rows, _ := e.nextTiles(m - i)
		t.a = unsafe.Pointer(&a.a[e.tileOffset(a, i)])
		if out.d != nil {
			for r := range rows {
				copy(s.edge[r*e.nr:][:w], out.d[(i+r)*out.ldd:])
			}
		}
		e.tile[rows](t)
		for r := range rows {
			dst := out.c[(i+r)*out.ldc:][:w]
			copy(dst, s.edge[r*e.nr:])
			if out.bias != nil {
				AddTo(dst, out.bias)
			}
		}
		i += rows
	}
}

// nextTiles says how many rows the next tile has, and how many such tiles
// follow in one call, when m rows are left. A remainder of few rows is evened
// out with the tile before it, since a tile of one row wastes most of the
// processor. It cannot change a number: every row is summed alike.
func (e *engine) nextTiles(m int) (rows, count int) {
	full, rest := m/e.mr, m%e.mr
	switch {
	case rest == 0 || full > 0 && 2*rest > e.mr:
		return e.mr, full
	case full == 0:
		return m, 1
	case full == 1:
		return (m + 1) / 2, 1
	default:
		return e.mr, full - 1
	}
}

// tileOffset is where row i, the first of a tile, starts in A.
func (e *engine) tileOffset(a left, i int) int {
	return i/e.mr*a.tileStep + i%e.mr*a.rowStride
}

func bytes(values int) uintptr { return uintptr(values) * unsafe.Sizeof(float32(0)) }
