//go:build asm

// Command asm generates the noise kernels of package noise:
//
//	go generate ./noise
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/flops-vit/flops/internal/kernel/asm/vec/simd"
)

func main() {
	ConstraintExpr("amd64")
	for _, f := range simd.Forms {
		for _, rademacher := range []bool{false, true} {
			for m, name := range []string{"Fill", "AddScaled"} {
				kernel(f, rademacher, m == 1, name)
			}
		}
	}
	Generate()
}

// kernel emits one source: whole groups of 32 elements from consecutive
// counters, made in registers and stored, or added to z, at once.
func kernel(f simd.Form, rademacher, add bool, mode string) {
	name, what := "gaussian", "normals"
	if rademacher {
		name, what = "rademacher", "signs"
	}
	sig := "func(dst *float32, groups int, ctr *[6]uint32)"
	doc := "writes groups·32 " + what + "."
	if add {
		sig = "func(dst, z *float32, groups int, scale float32, ctr *[6]uint32)"
		doc = "sets dst = z + scale·ε for groups·32 " + what + "."
	}
	TEXT(name+mode+f.Suffix, 4, sig) // NOSPLIT
	Pragma("noescape")
	Doc(name + mode + f.Suffix + " " + doc)
	dst, groups, ctr := gp("dst"), gp("groups"), gp("ctr")
	z := dst
	if add {
		z = gp("z")
	}
	block := GP32()
	MOVL(Mem{Base: ctr}, block)
	Label("group")
	w := philox(f, ctr, block)
	var first, second simd.Vec
	if rademacher {
		first, second = signs(f, w[0]), signs(f, w[1])
	} else {
		first, second = boxMuller(f, w[0], w[1])
	}
	put(f, first, dst, z, add, 0)
	put(f, second, dst, z, add, 32)
	ADDL(U8(8), block)
	ADDQ(U32(128), dst)
	if add {
		ADDQ(U32(128), z)
	}
	DECQ(groups)
	JNZ(LabelRef("group"))
	f.Return()
}

// put stores one logical vector, whose halves of 8 lanes belong 64 bytes
// apart (package comment of noise: words 0 and 2, or 1 and 3).
func put(f simd.Form, v simd.Vec, dst, z reg.GPVirtual, add bool, disp int) {
	lo, hi := v[0].AsY(), YMM()
	if f.Wide {
		VEXTRACTF64X4(U8(1), v[0], hi)
	} else {
		VMOVAPS(v[1], hi)
	}
	if add {
		scale := YMM()
		VBROADCASTSS(paramMem("scale"), scale)
		VFMADD213PS(Mem{Base: z, Disp: disp}, scale, lo)
		VFMADD213PS(Mem{Base: z, Disp: disp + 64}, scale, hi)
	}
	VMOVUPS(lo, Mem{Base: dst, Disp: disp})
	VMOVUPS(hi, Mem{Base: dst, Disp: disp + 64})
}

// gp loads an integer or pointer argument.
func gp(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// paramMem is the stack slot of an argument.
func paramMem(name string) Mem {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}
