//go:build asm

package simd

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Tail is the mask of the last n < 16 elements of a row.
type Tail struct {
	f    Form
	vec  Vec         // AVX2: sign bits
	kreg reg.Virtual // AVX-512
}

var ramp *Mem

// noSplit is textflag.h's NOSPLIT.
const noSplit = 4

// Tail makes the mask of n elements.
func (f Form) Tail(n reg.GPVirtual) Tail {
	t := Tail{f: f}
	if f.Wide {
		one := GP32()
		MOVL(U32(1), one)
		SHLXL(n.As32(), one, one)
		DECL(one)
		t.kreg = K()
		KMOVW(one, t.kreg)
		return t
	}
	if ramp == nil {
		m := GLOBL("tailMask", 8|16)
		for i := range 2 * Lanes {
			v := uint32(0)
			if i < Lanes {
				v = 0xFFFFFFFF
			}
			DATA(4*i, U32(v))
		}
		ramp = &m
	}
	p, o := GP64(), GP64()
	LEAQ(*ramp, p)
	MOVQ(U32(Lanes), o)
	SUBQ(n, o)
	t.vec = f.Load(Mem{Base: p, Index: o, Scale: 4})
	return t
}

// Load returns the masked elements at m, and zeros.
func (t Tail) Load(m Mem) Vec {
	v := t.f.Vec()
	for i := range t.f.parts() {
		at := m.Offset(i * t.f.Bytes())
		if t.f.Wide {
			VMOVUPS_Z(at, t.kreg, v[i])
		} else {
			VMASKMOVPS(at, t.vec[i], v[i])
		}
	}
	return v
}

// LoadOr returns the masked elements at m, and those of fill elsewhere.
func (t Tail) LoadOr(m Mem, fill Vec) Vec {
	v := t.Load(m)
	for i := range t.f.parts() {
		if t.f.Wide {
			VBLENDMPS(v[i], fill[i], t.kreg, v[i])
		} else {
			VBLENDVPS(t.vec[i], v[i], fill[i], v[i])
		}
	}
	return v
}

// Store writes the masked elements of v.
func (t Tail) Store(v Vec, m Mem) {
	for i := range t.f.parts() {
		at := m.Offset(i * t.f.Bytes())
		if t.f.Wide {
			VMOVUPS(v[i], t.kreg, at)
		} else {
			VMASKMOVPS(v[i], t.vec[i], at)
		}
	}
}

// Row walks n elements in logical vectors: body runs with a nil tail for whole
// vectors and once more with the mask of what is left. index counts elements
// and serves as the index register (scale 4) of the operands. With AVX2 a tail
// of at most eight elements takes one register instead of two; that changes no
// result, since the idle lanes hold zeros or the fill.
func (f Form) Row(label string, n reg.GPVirtual, body func(index reg.GPVirtual, tail *Tail)) {
	i, left := GP64(), GP64()
	XORQ(i, i)
	MOVQ(n, left)
	SUBQ(U8(Lanes), left)
	JL(LabelRef(label + "_rest"))
	Label(label + "_loop")
	body(i, nil)
	ADDQ(U8(Lanes), i)
	SUBQ(U8(Lanes), left)
	JGE(LabelRef(label + "_loop"))
	Label(label + "_rest")
	ADDQ(U8(Lanes), left)
	JZ(LabelRef(label + "_done"))
	t := f.Tail(left)
	if !f.Wide {
		CMPQ(left, U8(Lanes/2))
		JG(LabelRef(label + "_most"))
		halved = true
		body(i, &t)
		halved = false
		JMP(LabelRef(label + "_done"))
		Label(label + "_most")
	}
	body(i, &t)
	Label(label + "_done")
}

// Get loads through the tail when there is one.
func (f Form) Get(tail *Tail, m Mem) Vec {
	if tail != nil {
		return tail.Load(m)
	}
	return f.Load(m)
}

// GetOr is Get with fill in the lanes beyond the row.
func (f Form) GetOr(tail *Tail, m Mem, fill Vec) Vec {
	if tail != nil {
		return tail.LoadOr(m, fill)
	}
	return f.Load(m)
}

// PutPadded is Put for rows whose memory goes on to a multiple of eight, which
// may be overwritten. With AVX2 it spares the masked store, which is slow and
// cannot be forwarded to the next load.
func (f Form) PutPadded(tail *Tail, v Vec, m Mem) {
	if tail != nil && !f.Wide {
		tail = nil
	}
	f.Put(tail, v, m)
}

// Put stores through the tail when there is one.
func (f Form) Put(tail *Tail, v Vec, m Mem) {
	if tail != nil {
		tail.Store(v, m)
		return
	}
	f.Store(v, m)
}

// Sum leaves the sum of v's 16 lanes in every lane of the returned vector:
// lanes 8 apart first, then 4, 2 and 1.
func (f Form) Sum(v Vec) Vec { return f.reduce(v, VADDPS) }

// Max is Sum for the maximum.
func (f Form) Max(v Vec) Vec { return f.reduce(v, VMAXPS) }

func (f Form) reduce(v Vec, op func(...Op)) Vec {
	lo, hi := YMM(), YMM()
	if f.Wide {
		VEXTRACTF64X4(U8(1), v[0], hi)
		op(v[0].AsY(), hi, lo)
	} else {
		op(v[0], v[1], lo)
	}
	VPERM2F128(U8(1), lo, lo, hi)
	op(lo, hi, lo)
	VPERMILPS(U8(0x4E), lo, hi)
	op(lo, hi, lo)
	VPERMILPS(U8(0xB1), lo, hi)
	op(lo, hi, lo)
	return f.Fill(lo.AsX())
}

// Elementwise emits func(dst, in... *float32, n int) with body on each vector.
// body loads its inputs by number when it needs them, as often as it likes:
// registers are scarcer than loads.
func (f Form) Elementwise(name, doc, signature string, in []string, body func(load func(int) Vec) Vec) {
	TEXT(name+f.Suffix, noSplit, signature)
	Pragma("noescape")
	Doc(name + f.Suffix + " " + doc)
	dst := Load(Param("dst"), GP64()).(reg.GPVirtual)
	var src []reg.GPVirtual
	for _, p := range in {
		src = append(src, Load(Param(p), GP64()).(reg.GPVirtual))
	}
	n := Load(Param("n"), GP64()).(reg.GPVirtual)
	f.Row("row", n, func(i reg.GPVirtual, tail *Tail) {
		v := body(func(k int) Vec { return f.Get(tail, Mem{Base: src[k], Index: i, Scale: 4}) })
		f.Put(tail, v, Mem{Base: dst, Index: i, Scale: 4})
	})
	f.Return()
}

// Return clears the upper halves of the registers and returns.
func (f Form) Return() {
	VZEROUPPER()
	RET()
}
