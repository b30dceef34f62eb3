package kernel

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// halfArgs is what a kernel of products in bf16 is told. The field order is known to
// the generator (asm/half); strides are in bytes. For each of count tiles of the
// kernel's rows:
//
//	sums[i] = bias (sums[i] where it is nil) + steps of A·B
//
// of 32 columns, adjacent rows; then a and c advance to the next tile.
type halfArgs struct {
	config    unsafe.Pointer // of the tile unit
	a, b, c   unsafe.Pointer
	bias      unsafe.Pointer
	steps     uintptr
	count     uintptr
	tileStep  uintptr // between tiles in A
	rowStride uintptr // between rows of A, where it is not in tiles
	mode      uint64  // of the vector unit in a kernel: numbers below the normal ones are zero
	_         uint64  // where it keeps that of the caller
}

// flushing is the vector unit's state (MXCSR) as it begins, with numbers below the
// normal ones as zero, as operands and results.
const flushing = 0x1f80 | 1<<15 | 1<<6

// halfEngine is one way to multiply in bf16; all have the same bits.
type halfEngine struct {
	name, detail string
	unit         string // of a processor that the kernel runs on and that is fast at it; "": none
	rows         int    // of a tile
	block        int    // steps of k that pass over all rows of a block at once
	bytes        int    // of a value of A as it is laid
	most         int    // rows that are laid at once
	tiled        bool   // A is laid in tiles, else row by row
	apart        bool   // pairs are of even k, then of odd k
	// lay rounds rows of A as the kernel reads them.
	lay func(e *halfEngine, a []float32, lda, m int, b *Half, s *HalfScratch)
	// tiles computes what halfArgs says.
	tiles func(*halfArgs)
}

// TileUnit is the name of the kernel that runs on a processor's tile unit, which
// multiplies in bf16 alone.
const TileUnit = "amx"

// PairUnit is the name of the kernel that runs on AVX512_BF16, which multiplies pairs in
// bf16 alone.
const PairUnit = "avx512bf16"

var halfCurrent atomic.Pointer[halfEngine]

// halfEngines are those that can run here, best first, and what there is to say.
var halfEngines = sync.OnceValues(func() (usable []*halfEngine, note string) {
	list, why := vectorHalf()
	var failed []string
	for _, e := range append(list, portableHalf) {
		if err := checkHalf(e); err != nil {
			failed = append(failed, e.name)
			continue
		}
		usable = append(usable, e)
	}
	if len(failed) > 0 {
		note = " (" + strings.Join(failed, ", ") + " failed the start-up check)"
	}
	if asked := os.Getenv(EnvKernel); why != "" && halfAlone(asked) {
		note += fmt.Sprintf(" (%s=%s: %s)", EnvKernel, asked, why)
	}
	return usable, note
})

func activeHalf() *halfEngine {
	if e := halfCurrent.Load(); e != nil {
		return e
	}
	usable, _ := halfEngines()
	halfCurrent.CompareAndSwap(nil, usable[0])
	return halfCurrent.Load()
}

// DescribeHalf says in one string which kernel multiplies in bf16 here: "amx 32x32",
// "avx512bf16 6x32", "avx512 6x32", "avx2 3x16", "portable". All have the same bits.
func DescribeHalf() string {
	e := activeHalf()
	_, note := halfEngines()
	return strings.TrimSpace(e.name+" "+e.detail) + note
}

// HalfUnit names what this processor multiplies in bf16 by: a tile unit, which makes
// products several times as fast as those in float32, or instructions for pairs, which
// may make them twice as fast; "" where it has neither and they are slower.
func HalfUnit() string { return activeHalf().unit }

// halfAlone says that a name is that of a kernel which multiplies in bf16 alone.
func halfAlone(name string) bool { return name == TileUnit || name == PairUnit }

// HalfKernels names the kernels of bf16 that can run here, best first.
func HalfKernels() (names []string) {
	usable, _ := halfEngines()
	for _, e := range usable {
		names = append(names, e.name)
	}
	return names
}

// SelectHalf makes the named kernel (one of HalfKernels) the one that multiplies in
// bf16 from now on.
func SelectHalf(name string) error {
	usable, _ := halfEngines()
	i := slices.IndexFunc(usable, func(e *halfEngine) bool { return e.name == name })
	if i < 0 {
		return fmt.Errorf("bf16 kernel %q is none of %s", name, strings.Join(HalfKernels(), ", "))
	}
	halfCurrent.Store(usable[i])
	return nil
}

// rowBlock is the height of the blocks of rows for m rows of so many steps: as many as
// the cache holds, evened out, in whole tiles.
func (e *halfEngine) rowBlock(m, steps int) int {
	most := max(32, min(e.most, halfCache/max(1, e.bytes*steps*halfStep)))
	blocks := (m + most - 1) / most
	return roundUp((m+blocks-1)/blocks, e.rows)
}

// panel computes the sums of m laid rows by the j-th panel.
func (e *halfEngine) panel(sums []float32, m int, b *Half, j int, s *HalfScratch) {
	t := &s.args
	t.c, t.count = unsafe.Pointer(&sums[0]), uintptr((m+e.rows-1)/e.rows)
	t.mode, t.bias = flushing, unsafe.Pointer(&s.bias[0])
	t.config = unsafe.Pointer(tileConfig)
	t.rowStride = uintptr(b.steps * halfStep * e.bytes)
	t.tileStep = uintptr(e.rows) * t.rowStride
	panel := b.data[j*b.steps*panelStep:]
	for q := 0; q < b.steps; q += e.block {
		t.steps = uintptr(min(e.block, b.steps-q))
		t.b = unsafe.Pointer(&panel[q*panelStep])
		switch {
		case e.tiled:
			t.a = unsafe.Pointer(&s.tiles[q*panelStep])
		case e.bytes == halfBytes:
			t.a = unsafe.Pointer(&s.tiles[q*halfStep])
		default:
			t.a = unsafe.Pointer(&s.rows[q*halfStep])
		}
		e.tiles(t)
		t.bias = nil
	}
	t.a, t.b, t.c = nil, nil, nil // nothing is held that others may want to be freed
}

// tileConfig is the tile unit's: eight tiles of 16 rows of 64 bytes.
var tileConfig = func() *[64]byte {
	c := new([64]byte)
	c[0] = 1 // the palette
	for i := range 8 {
		c[16+2*i], c[48+i] = 64, 16
	}
	return c
}()
