//go:build asm

package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/emit"
)

// form is an instruction set and the tile that fits its registers: rows by two
// vectors, of which the even and the odd products of a step are summed apart. Twice
// rows×2 sums, a row of B and an element of A: 24+2+2 of 32 registers, 12+2+1 of 16.
type form struct {
	suffix string
	rows   int
	bytes  int // width of a vector
	fresh  func(*build.Context) reg.Register
	unroll int  // pairs of k in a turn of the loop
	pairA  int  // bytes of a pair of A
	apart  bool // pairs are of even k or of odd k, and multiplied as they are
}

var (
	avx2   = form{"AVX2", 3, 32, fresh((*build.Context).YMM), 4, 8, false}
	avx512 = form{"AVX512", 6, 64, fresh((*build.Context).ZMM), 4, 8, false}
)

// fresh makes registers by one of the assembler's own ways.
func fresh(make func(*build.Context) reg.VecVirtual) func(*build.Context) reg.Register {
	return func(c *build.Context) reg.Register { return make(c) }
}

const vectors = 2 // across a tile

// kernel is the micro-kernel being emitted.
type kernel struct {
	*build.Context
	form
	args, a, b, c, off reg.GPVirtual
	row                []reg.GPVirtual
	sums               [2][][]reg.Register // of even and of odd products, by row and vector
	weights            []reg.Register
	mask               reg.Register   // of odd values
	factors            []reg.Register // of A, where pairs are apart
}

// tile emits the micro-kernel, which computes tiles of the sums that halfArgs
// describes in the order of the tile unit: in a step of 32 of k the even and the odd
// products apart from zero, then both together, then the step to the sum; numbers
// below the normal ones are zero.
func tile(c *build.Context, f form) {
	name := fmt.Sprintf("half%dx%d%s", f.rows, vectors*f.bytes/4, f.suffix)
	emit.Function(c, name, name+" computes tiles of so many rows and columns of a panel.")
	emit.On(c, "halfArgs")
	k := &kernel{Context: c, form: f, args: c.GP64(), a: c.GP64(), b: c.GP64(), c: c.GP64(), off: c.GP64()}
	k.Load(k.Param("t"), k.args)
	k.STMXCSR(at(k.args, argOldMode))
	k.LDMXCSR(at(k.args, argMode))
	k.MOVQ(at(k.args, argA), k.a)
	k.MOVQ(at(k.args, argC), k.c)
	for range f.rows {
		k.row = append(k.row, k.GP64())
		for p := range k.sums {
			k.sums[p] = append(k.sums[p], []reg.Register{f.fresh(c), f.fresh(c)})
		}
	}
	k.weights = []reg.Register{f.fresh(c), f.fresh(c)}
	if k.apart {
		for range f.rows {
			k.factors = append(k.factors, k.fresh(c))
		}
	} else {
		k.mask = k.fresh(c)
		broadcast(c, odd, k.mask)
	}
	count := k.GP64()
	k.MOVQ(at(k.args, argCount), count)

	k.Label(name + "_tile")
	k.pointers()
	k.begin(name)
	k.steps(name)
	k.ADDQ(at(k.args, argTileStep), k.a)
	k.ADDQ(operand.U32(f.rows*panelBytes), k.c)
	k.DECQ(count)
	k.JNE(operand.LabelRef(name + "_tile"))
	k.LDMXCSR(at(k.args, argOldMode))
	k.VZEROUPPER()
	k.RET()
}

// pointers sets the pointers to the start of a tile.
func (k *kernel) pointers() {
	k.MOVQ(at(k.args, argB), k.b)
	k.MOVQ(k.a, k.row[0])
	for r := 1; r < k.rows; r++ {
		k.MOVQ(k.row[r-1], k.row[r])
		k.ADDQ(at(k.args, argRowStride), k.row[r])
	}
	k.XORQ(k.off, k.off)
}

// sum is where a vector of the sums stands.
func (k *kernel) sum(row, v int) operand.Mem { return at(k.c, row*panelBytes+v*k.bytes) }

// begin sets the sums to the bias, where there is one.
func (k *kernel) begin(name string) {
	bias := k.GP64()
	k.MOVQ(at(k.args, argBias), bias)
	k.TESTQ(bias, bias)
	k.JE(operand.LabelRef(name + "_begun"))
	for v, x := range k.weights {
		k.VMOVUPS(at(bias, v*k.bytes), x)
		for r := range k.rows {
			k.VMOVUPS(x, k.sum(r, v))
		}
	}
	k.Label(name + "_begun")
}

// steps emits the loop over steps of 32 of k.
func (k *kernel) steps(name string) {
	steps, turns := k.GP64(), k.GP64()
	k.MOVQ(at(k.args, argSteps), steps)
	k.Label(name + "_step")
	for _, part := range k.sums {
		for _, row := range part {
			for _, v := range row {
				k.VXORPS(v, v, v)
			}
		}
	}
	k.MOVQ(operand.U32(pairs/k.unroll), turns)
	k.Label(name + "_pairs")
	for i := range k.unroll {
		if k.apart {
			k.doubles(i)
		} else {
			k.singles(i, 0)
			k.singles(i, 1)
		}
	}
	k.ADDQ(operand.U32(k.unroll*pairBytes), k.b)
	k.ADDQ(operand.U32(k.unroll*k.pairA), k.off)
	k.DECQ(turns)
	k.JNE(operand.LabelRef(name + "_pairs"))
	for r := range k.rows {
		for v := range vectors {
			even, odd := k.sums[0][r][v], k.sums[1][r][v]
			k.VADDPS(odd, even, even)
			k.VADDPS(k.sum(r, v), even, even)
			k.VMOVUPS(even, k.sum(r, v))
		}
	}
	k.ADDQ(operand.U32(stepBytes-pairs*pairBytes), k.b)
	k.DECQ(steps)
	k.JNE(operand.LabelRef(name + "_step"))
}

// singles adds the even (part 0) or the odd products of the i-th pair from the pointer.
func (k *kernel) singles(i, part int) {
	for v, w := range k.weights {
		// The vectors of AVX-512 are those of two tiles, those of AVX2 the halves of one.
		m := at(k.b, i*pairBytes+v*32)
		if k.bytes == pairBytes {
			m = at(k.b, i*pairBytes+v*tileBytes)
		}
		switch {
		case part == 1 && k.bytes == pairBytes:
			k.VPANDD(m, k.mask, w)
		case part == 1:
			k.VPAND(m, k.mask, w)
		default:
			k.VMOVUPS(m, w)
			k.VPSLLD(operand.U8(16), w, w)
		}
	}
	for r := range k.rows {
		x := k.fresh(k.Context)
		k.VBROADCASTSS(operand.Mem{Base: k.row[r], Index: k.off, Scale: 1, Disp: k.pairA*i + 4*part}, x)
		for v, w := range k.weights {
			k.VFMADD231PS(w, x, k.sums[part][r][v])
		}
	}
}
