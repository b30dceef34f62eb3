package cuda

import (
	"fmt"
	"unsafe"
)

// blas is an open cuBLAS: the entry points, as addresses, and how to call them.
type blas struct {
	name      string
	device    string
	sync      func() error
	precision Precision
	lt        *blasLt // nil: not found, or refused a product
	tanh      bool    // GELU in bf16 may be that by tanh
	handle    uintptr
	call      func(fn uintptr, args ...uintptr) uintptr

	create, destroy, setStream, gemm, strided, batched uintptr

	// scalars are alpha and beta, which cuBLAS reads through pointers while it
	// is called. They are part of an object on the heap, which does not move.
	scalars [2]float32
}

// Values of cuBLAS's enumerations (cublas_api.h, library_types.h).
const (
	blasN, blasT    = 0, 1
	blasFloat32     = 0           // CUDA_R_32F
	blasBF16        = 14          // CUDA_R_16BF
	blasCompute32   = 68          // CUBLAS_COMPUTE_32F
	blasComputeTF32 = 77          // CUBLAS_COMPUTE_32F_FAST_TF32
	blasDefault     = ^uintptr(0) // CUBLAS_GEMM_DEFAULT, -1
)

// compute is the library's way to compute a product. Factors in bf16 are exact as
// they are; of floats that the precision rounds, TF32 is the finest that is fast.
func (b *blas) compute(g *Gemm) uintptr {
	if g.Half || g.Exact || b.precision == FP32 {
		return blasCompute32
	}
	return blasComputeTF32
}

// blasGemm computes a product with cuBLAS. A row-major C = op(A) op(B) is, to a
// column-major library, Cᵀ = op(B)ᵀ op(A)ᵀ of the same memory, so that the
// operands change places and keep their forms. The bias, and a residual that is
// not looked up, are added by cuBLASLt where it is open; a kernel does the rest
// of the epilogue.
func (d *Device) blasGemm(g Gemm) error {
	var err error
	switch {
	case g.Half:
		return d.halfGemm(g)
	case g.batch() == 1 && g.Bias != 0 && d.blas.lt != nil:
		residual := g.Residual
		if g.Act != Identity || g.Index != 0 {
			residual = 0
		}
		if err = d.blas.lt.gemm(&g, residual); err != nil {
			if err = d.blas.dropLt(); err != nil {
				return err
			}
			return d.blasGemm(g) // the plain path has everything that is needed
		}
		if g.Bias = 0; residual != 0 {
			g.Residual = 0
		}
	case g.batch() == 1:
		err = d.blasSingle(g)
	case g.A.Index == 0 && g.B.Index == 0 && max(g.Heads, 1) == 1:
		err = d.blasStrided(g)
	default:
		err = d.chunked(g, d.pointerRoom, d.blasBatched)
	}
	if err != nil {
		return err
	}
	return d.epilogue(g)
}

// epilogue adds the bias of a product that was written, applies its function, and
// adds the residual, of what there is.
func (d *Device) epilogue(g Gemm) error {
	if g.Bias == 0 && g.Residual == 0 && g.Act == Identity {
		return nil
	}
	threads := min(max((g.N+127)/128*32, 32), blockThreads) // four values each
	return d.Launch("epilogue", Dim{g.M, 1, 1}, Dim{threads, 1, 1}, 0, Compute,
		[]Arg{P(g.C.Ptr), P(g.Bias), P(g.Residual), P(g.Index), I(g.N), I(max(g.Rows, 1)), I(int(g.Act))})
}

// SplitGemm is a product of bf16 whose left factor is the sum of splitParts matrices,
// gap values from one to the next: as many products into one float result.
func (d *Device) SplitGemm(g Gemm, gap int64) error {
	whole := g
	g.Act, g.Residual, g.Index = Identity, 0, 0
	for range splitParts {
		if err := d.halfGemm(g); err != nil {
			return err
		}
		g.A.Ptr += Ptr(2 * gap)
		g.Bias, g.Accumulate = 0, true
	}
	whole.Bias = 0
	return d.epilogue(whole)
}

// halfGemm is a product of two matrices in bf16, of one slot, by cuBLASLt.
func (d *Device) halfGemm(g Gemm) error {
	if d.blas == nil || d.blas.lt == nil || g.Form != NT || g.batch() != 1 || g.HalfC && (g.Accumulate ||
		g.Residual != 0 && (g.Act != Identity || g.Index != 0)) {
		return fmt.Errorf("cuda: a %s product of %d in bf16, which nothing computes", g.Form, g.batch())
	}
	residual := g.Residual
	if g.Act != Identity || g.Index != 0 || g.Accumulate {
		residual = 0
	}
	fused := g.fused(d.blas)
	if err := d.blas.lt.gemm(&g, residual); err != nil {
		return err
	}
	if fused {
		return nil
	}
	if g.Bias = 0; residual != 0 {
		g.Residual = 0
	}
	if g.HalfC {
		return d.HalfActivation(g.Act, g.C.Ptr, g.C.Ptr, int64(g.M)*int64(g.N))
	}
	return d.epilogue(g)
}

func (g *Gemm) ops() (b, a uintptr) {
	switch g.Form {
	case NT:
		return blasT, blasN
	case TN:
		return blasN, blasT
	}
	return blasN, blasN
}

// run calls an entry point with the scalars of g in place.
func (b *blas) run(name string, fn uintptr, g *Gemm, args func(alpha, beta uintptr) []uintptr) error {
	b.scalars[0], b.scalars[1] = g.Alpha, 0
	if g.Accumulate {
		b.scalars[1] = 1
	}
	tb, ta := g.ops()
	alpha, beta := uintptr(unsafe.Pointer(&b.scalars[0])), uintptr(unsafe.Pointer(&b.scalars[1]))
	shape := []uintptr{b.handle, tb, ta, uintptr(g.N), uintptr(g.M), uintptr(g.K)}
	if r := b.call(fn, append(shape, args(alpha, beta)...)...); r != 0 {
		return fmt.Errorf("cuda: %s of %d×%d×%d: cuBLAS status %d", name, g.M, g.N, g.K, r)
	}
	return nil
}

func (d *Device) blasSingle(g Gemm) error {
	b := d.blas
	return b.run("cublasGemmEx", b.gemm, &g, func(alpha, beta uintptr) []uintptr {
		return []uintptr{alpha, uintptr(g.B.Ptr), blasFloat32, uintptr(g.B.Ld), uintptr(g.A.Ptr), blasFloat32,
			uintptr(g.A.Ld),
			beta, uintptr(g.C.Ptr), blasFloat32, uintptr(g.C.Ld), b.compute(&g), blasDefault}
	})
}

func (d *Device) blasStrided(g Gemm) error {
	b := d.blas
	return b.run("cublasGemmStridedBatchedEx", b.strided, &g, func(alpha, beta uintptr) []uintptr {
		return []uintptr{alpha, uintptr(g.B.Ptr), blasFloat32, uintptr(g.B.Ld), uintptr(g.B.Slot),
			uintptr(g.A.Ptr), blasFloat32, uintptr(g.A.Ld), uintptr(g.A.Slot),
			beta, uintptr(g.C.Ptr), blasFloat32, uintptr(g.C.Ld), uintptr(g.C.Slot), uintptr(g.batch()), b.compute(&g),
			blasDefault}
	})
}

// blasBatched lists the operands of every product on the device first, since
// slots are looked up and heads interleave.
func (d *Device) blasBatched(g Gemm) error {
	b, n := d.blas, g.batch()
	err := d.over("gemm_pointers", int64(n), 1, P(d.pointers), P(g.C.Ptr), P(g.A.Ptr), P(g.B.Ptr), I(n), I(g.Heads),
		L(g.C.Slot), L(g.A.Slot), L(g.B.Slot), L(g.C.Head), L(g.A.Head), L(g.B.Head), P(g.A.Index), P(g.B.Index))
	if err != nil {
		return err
	}
	list := func(i int) uintptr { return uintptr(d.pointers) + uintptr(8*n*i) }
	return b.run("cublasGemmBatchedEx", b.batched, &g, func(alpha, beta uintptr) []uintptr {
		return []uintptr{alpha, list(1), blasFloat32, uintptr(g.B.Ld), list(0), blasFloat32, uintptr(g.A.Ld),
			beta, list(2), blasFloat32, uintptr(g.C.Ld), uintptr(n), b.compute(&g), blasDefault}
	})
}

// closeBLAS gives the library's handle back.
func (d *Device) closeBLAS() error {
	if d.blas == nil {
		return nil
	}
	b := d.blas
	d.blas = nil
	if err := b.dropLt(); err != nil {
		return err
	}
	if r := b.call(b.destroy, b.handle); r != 0 {
		return fmt.Errorf("cuda: cublasDestroy: status %d", r)
	}
	return nil
}
