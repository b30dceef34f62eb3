package kernel

import (
	"math"
	"unsafe"
)

// Products in bf16: both factors are rounded to bf16 (the upper half of a float32),
// their products are exact in float32, and sums are float32. What a sum is, to the
// last bit, is what the tile unit of some processors computes (Intel 64 and IA-32
// Architectures Software Developer's Manual, TDPBF16PS), on every kernel:
//
//   - k is cut into steps of 32, the last one filled up with zeros;
//   - in a step the products of even k are added up from zero in the order of k, and
//     those of odd k apart from them; then both sums are added;
//   - the sum begins as the bias, or zero, and the steps are added to it in their order;
//   - every addition rounds to nearest, ties to even; numbers below 2^-126 count as
//     zero, as results and as operands.
//
// What follows (an activation function, a residual) is float32's own arithmetic.

// RoundHalf is x in bf16: to the nearest, ties to even, numbers below 2^-126 to zero;
// of what is no number the upper half, made quiet.
func RoundHalf(x float32) uint16 {
	b := math.Float32bits(x)
	switch {
	case b&0x7f800000 == 0:
		return uint16(b >> 16 & 0x8000)
	case b&0x7fffffff > 0x7f800000:
		return uint16(b>>16 | 0x40)
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// FromHalf is the number that a bf16 stands for.
func FromHalf(x uint16) float32 { return math.Float32frombits(uint32(x) << 16) }

const (
	halfStep  = 32            // of k, between two additions to a sum
	halfPanel = 32            // columns of a panel
	halfTile  = 16 * halfStep // values of a tile: 16 rows or columns of a step
	panelStep = 2 * halfTile  // values of a panel's step
	halfBlock = 256           // most rows that are rounded at a time
	halfCache = 1 << 20       // bytes of them, which stay in the second-level cache
	lineBytes = 64            // of a cache line
	halfBytes = int(2)        // of a value
	lineHalf  = lineBytes / halfBytes
)

// Half is a matrix B (k×n) in bf16 for C = A·B: in panels of 32 columns, within each in
// steps of 32 of k, within each two tiles of 16 columns, within each the pairs of k one
// after the other. It is filled up with zeros. The pairs are those of the kernel that is
// selected as it is packed, and which it is multiplied by. Packing again uses the storage
// again. The zero value is an empty matrix.
type Half struct {
	k, n, steps int
	data        []uint16
	e           *halfEngine
}

// Rows is the number of rows of B.
func (p *Half) Rows() int { return p.k }

// Cols is the number of columns of B.
func (p *Half) Cols() int { return p.n }

// Bytes is the storage held.
func (p *Half) Bytes() int { return halfBytes * cap(p.data) }

func (p *Half) panels() int { return (p.n + halfPanel - 1) / halfPanel }

// growHalf is have with n values, or where it has no room for them new memory that begins
// with a cache line.
func growHalf(have []uint16, n int) []uint16 {
	if cap(have) >= n {
		return have[:n]
	}
	s := make([]uint16, n+lineHalf)
	off := int((lineBytes - uintptr(unsafe.Pointer(&s[0]))%lineBytes) % lineBytes / 2)
	return s[off : off+n : off+n]
}

// HalfScratch is the workspace of one goroutine. The zero value is ready; it grows to
// what the shapes need and then stays.
type HalfScratch struct {
	args  halfArgs
	tiles []uint16  // rows of A, rounded, as tiles or one after the other
	rows  []float32 // rows of A, rounded but float32, or those at an edge
	sums  []float32 // of a panel
	bias  [halfPanel]float32
}

// GemmHalf is Gemm with both factors rounded to bf16. Of the epilogue it knows the
// bias, with which a sum begins, GELU and the residual. A row of C depends on that row
// of A, on B and on the bias alone. C may be A's memory only where it is exactly A.
func GemmHalf(c []float32, ldc int, a []float32, lda, m int, b *Half, ep *Epilogue, s *HalfScratch) {
	if m == 0 || b.n == 0 {
		return
	}
	if ep == nil {
		ep = &Epilogue{}
	}
	if ep.Accumulate || ep.Pre != nil || ep.Scale != 0 {
		panic("kernel: a product in bf16 only takes a bias, GELU and a residual")
	}
	ep.check(c, ldc, a, lda, m, b.n, b.k)
	e := b.e
	rows := e.rowBlock(m, b.steps)
	for i := 0; i < m; i += rows {
		mi := min(rows, m-i)
		e.lay(e, a[i*lda:], lda, mi, b, s)
		for j := 0; j < b.n; j += halfPanel {
			w := min(halfPanel, b.n-j)
			clear(s.bias[:])
			if ep.Bias != nil {
				copy(s.bias[:w], ep.Bias[j:])
			}
			sums := Grow(&s.sums, roundUp(mi, e.rows)*halfPanel)
			e.panel(sums, mi, b, j/halfPanel, s)
			sums = sums[:mi*halfPanel]
			if ep.GELU {
				GELU(sums, sums)
			}
			var res []float32
			if ep.Residual != nil {
				res = ep.Residual[i*ep.LdRes+j:]
			}
			storePanel(c[i*ldc+j:], ldc, sums, res, ep.LdRes, mi, w)
		}
	}
}

// storePanel brings the w columns of a panel's sums to their rows, and adds those of
// res.
func storePanel(dst []float32, ldd int, sums, res []float32, ldr, m, w int) {
	if w == halfPanel && storeStrip(dst, ldd, sums, res, ldr, m) {
		return
	}
	for r := range m {
		row := dst[r*ldd:][:w]
		copy(row, sums[r*halfPanel:])
		if res != nil {
			AddTo(row, res[r*ldr:])
		}
	}
}
