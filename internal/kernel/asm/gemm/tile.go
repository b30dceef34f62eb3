//go:build asm

package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/emit"
)

// form is an instruction set and the tile that fits its registers: of rows×2
// vectors, two more hold a row of B and the rest take turns at an element of A.
// Six rows of two fill the latency of the fused multiply-add (4 cycles, two a
// cycle) with room to spare and 12+2+2 of 16 registers; fourteen rows take
// 28+2+2 of 32.
type form struct {
	suffix string
	bytes  int // width of a vector
	fresh  func(*build.Context) reg.VecVirtual
	unroll int
	// aheadStep is how far into the next panel of B one turn of the loop
	// prefetches: 16 tiles (8 of the larger ones) fetch it all.
	aheadStep int
}

var (
	avx2   = form{"AVX2", 32, (*build.Context).YMM, 4, 16}
	avx512 = form{"AVX512", 64, (*build.Context).ZMM, 2, 32}
)

const vectors = 2 // across a tile

// Offsets in tileArgs.
const (
	argA = 8 * iota
	argRowStride
	argKStride
	argTileStep
	argB
	argC
	argLdC
	argD
	argLdD
	argBias
	argK
	argCount
	argScale
	argAhead
)

// rowsPerBase rows of A are reached from one pointer: at 0, 1, 2, 3 and 4 row
// strides, the 3 from a register of its own.
const rowsPerBase = 5

// kernel is a micro-kernel being emitted.
type kernel struct {
	*build.Context
	form
	rows                     int
	args                     reg.GPVirtual
	a, c, d, count           reg.GPVirtual   // of the current tile
	base                     []reg.GPVirtual // into A, one for every rowsPerBase rows
	stride, stride3, kStride reg.GPVirtual
	b, ahead                 reg.GPVirtual
	acc                      [][]reg.VecVirtual
	row                      []reg.VecVirtual // of B
}

// tile emits the micro-kernel for rows rows; what it computes is said at
// tileArgs.
func tile(c *build.Context, f form, rows int) {
	name := fmt.Sprintf("tile%dx%d%s", rows, vectors*f.bytes/4, f.suffix)
	k := &kernel{Context: c, form: f, rows: rows, args: c.GP64()}
	emit.Function(c, name, fmt.Sprintf("%s computes tiles of %d rows.", name, rows))
	emit.On(c, "tileArgs")

	k.Load(k.Param("t"), k.args)
	k.setUp()

	next := name + "_tile"
	k.Label(next)
	k.pointers()
	for _, row := range k.acc {
		for _, v := range row {
			k.VXORPS(v, v, v)
		}
	}
	k.prefetch()
	k.loop(name)
	k.store(name)
	k.ADDQ(k.field(argTileStep), k.a)
	k.DECQ(k.count)
	k.JNE(operand.LabelRef(next))
	k.VZEROUPPER()
	k.RET()
}

// field is a field of the arguments.
func (k *kernel) field(offset int) operand.Mem { return operand.Mem{Base: k.args, Disp: offset} }

// setUp loads what lasts for all tiles. Only registers move from
// tile to tile: a pointer past the last one must not be left in memory that the
// garbage collector reads.
func (k *kernel) setUp() {
	load := func(offset int) reg.GPVirtual {
		r := k.GP64()
		k.MOVQ(k.field(offset), r)
		return r
	}
	k.a, k.c, k.d, k.count = load(argA), load(argC), load(argD), load(argCount)
	k.stride, k.kStride = load(argRowStride), load(argKStride)
	k.stride3 = k.GP64()
	k.LEAQ(operand.Mem{Base: k.stride, Index: k.stride, Scale: 2}, k.stride3)
	for range (k.rows + rowsPerBase - 1) / rowsPerBase {
		k.base = append(k.base, k.GP64())
	}
	for range k.rows {
		k.acc = append(k.acc, []reg.VecVirtual{k.fresh(k.Context), k.fresh(k.Context)})
	}
	k.row = []reg.VecVirtual{k.fresh(k.Context), k.fresh(k.Context)}
	k.b, k.ahead = k.GP64(), load(argAhead)
}

// pointers sets the pointers into A and B to the start of a tile.
func (k *kernel) pointers() {
	k.MOVQ(k.field(argB), k.b)
	k.MOVQ(k.a, k.base[0])
	for i := 1; i < len(k.base); i++ {
		k.LEAQ(operand.Mem{Base: k.base[i-1], Index: k.stride, Scale: 4}, k.base[i])
		k.ADDQ(k.stride, k.base[i])
	}
}

// prefetch asks for what the tile stores to and for the start of the next tile's
// rows of A; the processor's own prefetching takes the rows from there.
func (k *kernel) prefetch() {
	next, ld := k.GP64(), k.GP64()
	k.MOVQ(k.field(argLdC), ld)
	k.MOVQ(k.c, next)
	for range k.rows {
		for v := range vectors {
			k.PREFETCHT0(operand.Mem{Base: next, Disp: v * k.bytes})
		}
		k.ADDQ(ld, next)
	}
	k.MOVQ(k.a, next)
	k.ADDQ(k.field(argTileStep), next)
	for r := range k.rows {
		if r > 0 {
			k.ADDQ(k.stride, next)
		}
		k.PREFETCHT0(operand.Mem{Base: next})
	}
}

// loop emits the sum over k.
func (k *kernel) loop(name string) {
	n := k.GP64()
	tail, end := name+"_tail", name+"_end"
	k.MOVQ(k.field(argK), n)
	k.SUBQ(operand.U8(k.unroll), n)
	k.JL(operand.LabelRef(tail))
	k.Label(name + "_k")
	for i := range k.unroll {
		k.step(i)
	}
	k.PREFETCHT0(operand.Mem{Base: k.ahead})
	k.ADDQ(operand.U8(k.aheadStep), k.ahead)
	k.ADDQ(operand.U32(k.unroll*vectors*k.bytes), k.b)
	k.SUBQ(operand.U8(k.unroll), n)
	k.JGE(operand.LabelRef(name + "_k"))

	k.Label(tail)
	k.ADDQ(operand.U8(k.unroll), n)
	k.JE(operand.LabelRef(end))
	k.Label(name + "_rest")
	k.step(0)
	k.ADDQ(operand.U32(vectors*k.bytes), k.b)
	k.DECQ(n)
	k.JNE(operand.LabelRef(name + "_rest"))
	k.Label(end)
}

// step adds one step of k, the i-th row of B from the pointer.
func (k *kernel) step(i int) {
	for v, r := range k.row {
		k.VMOVUPS(operand.Mem{Base: k.b, Disp: (i*vectors + v) * k.bytes}, r)
	}
	for r := range k.rows {
		x := k.fresh(k.Context)
		k.VBROADCASTSS(k.rowOfA(r), x)
		for v := range k.row {
			k.VFMADD231PS(k.row[v], x, k.acc[r][v])
		}
	}
	for _, p := range k.base {
		k.ADDQ(k.kStride, p)
	}
}

// rowOfA addresses the current element of row r of the tile.
func (k *kernel) rowOfA(r int) operand.Mem {
	m := operand.Mem{Base: k.base[r/rowsPerBase], Index: k.stride, Scale: 1}
	switch r % rowsPerBase {
	case 0:
		return operand.Mem{Base: m.Base}
	case 3:
		m.Index = k.stride3
	default:
		m.Scale = uint8(r % rowsPerBase)
	}
	return m
}

// store scales the sums, adds D and the bias, writes the tile, and leaves C and
// D at the next one.
func (k *kernel) store(name string) {
	scale := k.fresh(k.Context)
	k.VBROADCASTSS(k.field(argScale), scale)
	ld, bias := k.GP64(), k.GP64()
	plain, addBias, write := name+"_plain", name+"_bias", name+"_write"
	k.TESTQ(k.d, k.d)
	k.JE(operand.LabelRef(plain))
	k.MOVQ(k.field(argLdD), ld)
	for _, row := range k.acc {
		for v, sum := range row {
			k.VFMADD213PS(operand.Mem{Base: k.d, Disp: v * k.bytes}, scale, sum)
		}
		k.ADDQ(ld, k.d)
	}
	k.JMP(operand.LabelRef(addBias))
	k.Label(plain)
	for _, row := range k.acc {
		for _, sum := range row {
			k.VMULPS(scale, sum, sum)
		}
	}
	k.Label(addBias)
	k.MOVQ(k.field(argBias), bias)
	k.TESTQ(bias, bias)
	k.JE(operand.LabelRef(write))
	for v, r := range k.row {
		k.VMOVUPS(operand.Mem{Base: bias, Disp: v * k.bytes}, r)
		for _, row := range k.acc {
			k.VADDPS(r, row[v], row[v])
		}
	}
	k.Label(write)
	k.MOVQ(k.field(argLdC), ld)
	for _, row := range k.acc {
		for v, sum := range row {
			k.VMOVUPS(sum, operand.Mem{Base: k.c, Disp: v * k.bytes})
		}
		k.ADDQ(ld, k.c)
	}
}
