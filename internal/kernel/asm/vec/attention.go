//go:build asm

package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/vec/simd"
)

// tileRows is the most rows of C that one kernel computes at a time.
const tileRows = 6

func attention(f simd.Form) {
	for r := 1; r <= tileRows; r++ {
		tile(f, r)
	}
}

// tile emits the product of r rows: columns go in the widest blocks whose
// accumulators fit the registers, down to eight. Whatever the block, an element
// of C is one chain of fused multiply-adds over k.
func tile(f simd.Form, r int) {
	name := fmt.Sprintf("tile%d%s", r, f.Suffix)
	TEXT(name, 4, "func(c *float32, ldc int, a *float32, ra, ca int, b *float32, ldb, n, k int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s sets %d rows of C = A·B, n columns (a multiple of 8): A(i,p) = a[i·ra+p·ca], B(p,j) = b[p·ldb+j].",
		name, r))
	t := &tiler{f: f, r: r, c: gp("c"), ldc: gp("ldc"), a: gp("a"), ra: gp("ra"), ca: gp("ca"), b: gp("b"), ldb: gp("ldb"),
		n: gp("n")}
	for _, p := range []reg.GPVirtual{t.ldc, t.ra, t.ca, t.ldb} {
		SHLQ(U8(2), p)
	}
	if r > 3 {
		t.ra3 = GP64()
		LEAQ(Mem{Base: t.ra, Index: t.ra, Scale: 2}, t.ra3)
	}
	if r > 5 {
		t.ra5 = GP64()
		LEAQ(Mem{Base: t.ra, Index: t.ra, Scale: 4}, t.ra5)
	}
	lanes := f.Bytes() / 4
	widths := []int{8, 4, 2, 1}
	for widths[0]*r > 12 && !f.Wide || widths[0]*r > 24 {
		widths = widths[1:]
	}
	for _, units := range widths {
		t.block(fmt.Sprintf("w%d", units), units, units*lanes, f.Part)
	}
	if f.Wide {
		t.block("half", 1, 8, func() reg.VecVirtual { return YMM() })
	}
	f.Return()
}

type tiler struct {
	f                            simd.Form
	r                            int
	c, ldc, a, ra, ca, b, ldb, n reg.GPVirtual
	ra3, ra5                     reg.GPVirtual
}

// row is the address of A(i, p) for the pointer ap of A(0, p).
func (t *tiler) row(ap reg.GPVirtual, i int) Mem {
	switch i {
	case 0:
		return Mem{Base: ap}
	case 1, 2, 4:
		return Mem{Base: ap, Index: t.ra, Scale: uint8(i)}
	case 3:
		return Mem{Base: ap, Index: t.ra3, Scale: 1}
	}
	return Mem{Base: ap, Index: t.ra5, Scale: 1}
}

// block computes columns in steps of cols while as many are left.
func (t *tiler) block(label string, units, cols int, part func() reg.VecVirtual) {
	Label(label)
	CMPQ(t.n, U32(uint32(cols)))
	JL(LabelRef(label + "_done"))
	acc := make([][]reg.VecVirtual, t.r)
	for i := range acc {
		acc[i] = make([]reg.VecVirtual, units)
		for u := range acc[i] {
			acc[i][u] = part()
			VXORPS(acc[i][u], acc[i][u], acc[i][u])
		}
	}
	ap, bp := GP64(), GP64()
	MOVQ(t.a, ap)
	MOVQ(t.b, bp)
	k := gp("k")
	width := cols * 4 / units
	Label(label + "_k")
	if t.r < units { // hold the rows of A, stream B
		x := make([]reg.VecVirtual, t.r)
		for i := range x {
			x[i] = part()
			VBROADCASTSS(t.row(ap, i), x[i])
		}
		for u := range units {
			v := part()
			VMOVUPS(Mem{Base: bp, Disp: u * width}, v)
			for i := range x {
				VFMADD231PS(v, x[i], acc[i][u])
			}
		}
	} else {
		v := make([]reg.VecVirtual, units)
		for u := range v {
			v[u] = part()
			VMOVUPS(Mem{Base: bp, Disp: u * width}, v[u])
		}
		for i := range t.r {
			x := part()
			VBROADCASTSS(t.row(ap, i), x)
			for u := range v {
				VFMADD231PS(v[u], x, acc[i][u])
			}
		}
	}
	ADDQ(t.ca, ap)
	ADDQ(t.ldb, bp)
	DECQ(k)
	JNZ(LabelRef(label + "_k"))
	cp := GP64()
	MOVQ(t.c, cp)
	for i := range acc {
		for u := range acc[i] {
			VMOVUPS(acc[i][u], Mem{Base: cp, Disp: u * width})
		}
		if i+1 < t.r {
			ADDQ(t.ldc, cp)
		}
	}
	ADDQ(U32(uint32(cols*4)), t.b)
	ADDQ(U32(uint32(cols*4)), t.c)
	SUBQ(U32(uint32(cols)), t.n)
	JMP(LabelRef(label))
	Label(label + "_done")
}

// transpose emits the kernel that turns 8 rows into 8-wide rows of the
// transpose. It moves data only, so both instruction sets share it.
func transpose() {
	TEXT("transpose8AVX2", 4, "func(dst *float32, ldt int, src *float32, lds, cols int, scale float32)")
	Pragma("noescape")
	Doc("transpose8AVX2 sets dst[c·ldt+r] = scale·src[r·lds+c] for 8 rows and cols columns, a multiple of 8.")
	dst, ldt, src, lds, cols := gp("dst"), gp("ldt"), gp("src"), gp("lds"), gp("cols")
	SHLQ(U8(2), ldt)
	SHLQ(U8(2), lds)
	l3, l5, l7 := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: lds, Index: lds, Scale: 2}, l3)
	LEAQ(Mem{Base: lds, Index: lds, Scale: 4}, l5)
	LEAQ(Mem{Base: l3, Index: lds, Scale: 4}, l7)
	scale := YMM()
	VBROADCASTSS(paramMem("scale"), scale)
	row := []Mem{{Base: src}, {Base: src, Index: lds, Scale: 1}, {Base: src, Index: lds, Scale: 2},
		{Base: src, Index: l3, Scale: 1},
		{Base: src, Index: lds, Scale: 4}, {Base: src, Index: l5, Scale: 1}, {Base: src, Index: l3, Scale: 2},
		{Base: src, Index: l7, Scale: 1}}
	Label("loop")
	for range 2 {
		var m [4]reg.VecVirtual // rows i and i+4, four columns of each
		for i := range m {
			m[i] = YMM()
			VMOVUPS(row[i], m[i].AsX())
			VINSERTF128(U8(1), row[i+4], m[i], m[i])
			VMULPS(scale, m[i], m[i])
		}
		ab0, ab1, cd0, cd1 := YMM(), YMM(), YMM(), YMM()
		VUNPCKLPS(m[1], m[0], ab0)
		VUNPCKHPS(m[1], m[0], ab1)
		VUNPCKLPS(m[3], m[2], cd0)
		VUNPCKHPS(m[3], m[2], cd1)
		for i, pair := range [4][2]reg.VecVirtual{{ab0, cd0}, {ab0, cd0}, {ab1, cd1}, {ab1, cd1}} {
			out := YMM()
			VSHUFPS(U8([]uint8{0x44, 0xEE}[i%2]), pair[1], pair[0], out)
			VMOVUPS(out, Mem{Base: dst})
			ADDQ(ldt, dst)
		}
		ADDQ(U8(16), src)
	}
	SUBQ(U8(8), cols)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
