//go:build asm

// Package simd is a layer over avo in which a vector kernel is written once, on
// logical vectors of 16 float32, and emitted for AVX2 (two YMM registers each)
// and AVX-512 (one ZMM register each). Both forms run the same operations on
// the same lanes, reductions included, so their results agree bit for bit.
package simd

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Lanes is the number of float32 in a logical vector.
const Lanes = 16

// Form is the instruction set that a kernel is emitted for.
type Form struct {
	Suffix string // of the function names
	Wide   bool   // ZMM registers
}

// Forms are the instruction sets, in the order of emission.
var Forms = []Form{{"AVX2", false}, {"AVX512", true}}

// Vec is a logical vector.
type Vec []reg.VecVirtual

// At is a logical vector in memory at a displacement from a base register.
type At struct{ Mem }

// halved is set while the kernel of a tail of at most eight elements is emitted:
// only the first of two YMM registers then takes part.
var halved bool

// parts is how many registers of a logical vector take part.
func (f Form) parts() int {
	if f.Wide || halved {
		return 1
	}
	return 2
}

// Vec returns a fresh logical vector.
func (f Form) Vec() Vec {
	if f.Wide {
		return Vec{ZMM()}
	}
	return Vec{YMM(), YMM()}
}

// Part returns a fresh register of the form's width.
func (f Form) Part() reg.VecVirtual {
	if f.Wide {
		return ZMM()
	}
	return YMM()
}

// Bytes is the width of one register.
func (f Form) Bytes() int {
	if f.Wide {
		return 64
	}
	return 32
}

// Do emits op once per register of the logical vectors among args; other
// operands are repeated as they are.
func (f Form) Do(op func(...Op), args ...any) {
	for i := range f.parts() {
		ops := make([]Op, len(args))
		for j, a := range args {
			switch a := a.(type) {
			case Vec:
				ops[j] = a[i]
			case At:
				ops[j] = a.Offset(i * f.Bytes())
			case int:
				ops[j] = Imm(uint64(a))
			case Op:
				ops[j] = a
			default:
				panic(fmt.Sprintf("simd: operand of type %T", a))
			}
		}
		op(ops...)
	}
}

// New emits op into a fresh vector, which stands last, and returns it.
func (f Form) New(op func(...Op), args ...any) Vec {
	v := f.Vec()
	f.Do(op, append(args, v)...)
	return v
}

// Load returns the logical vector in memory at m.
func (f Form) Load(m Mem) Vec { return f.New(VMOVUPS, At{m}) }

// Store writes v to memory at m.
func (f Form) Store(v Vec, m Mem) { f.Do(VMOVUPS, v, At{m}) }

// Zero returns a vector of zeros.
func (f Form) Zero() Vec {
	v := f.Vec()
	f.Do(VXORPS, v, v, v)
	return v
}

// Fill returns a vector of the float32 at m.
func (f Form) Fill(m Op) Vec { return f.New(VBROADCASTSS, m) }

// Select returns b where the sign bit of mask is set and a elsewhere.
func (f Form) Select(mask, a, b Vec) Vec {
	out := f.Vec()
	for i := range f.parts() {
		if f.Wide {
			k := K()
			VPMOVD2M(mask[i], k)
			VBLENDMPS(b[i], a[i], k, out[i])
		} else {
			VBLENDVPS(mask[i], b[i], a[i], out[i])
		}
	}
	return out
}

// Const returns the memory operand of v repeated; equal numbers share memory.
func Const(v float32) At { return ConstBits(math.Float32bits(v)) }

var pool = map[uint32]Mem{}

// ConstBits is Const for a bit pattern. It may be called inside a function:
// avo places data outside.
func ConstBits(b uint32) At {
	if m, ok := pool[b]; ok {
		return At{m}
	}
	m := GLOBL(fmt.Sprintf("c%08x", b), 8|16) // RODATA|NOPTR
	for i := range Lanes {
		DATA(4*i, U32(b))
	}
	pool[b] = m
	return At{m}
}

// ConstReg loads a constant into registers, for operands that memory cannot be.
func (f Form) ConstReg(v float32) Vec { return f.Load(Const(v).Mem) }
