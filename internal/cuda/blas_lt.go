package cuda

import (
	"fmt"
	"unsafe"
)

// blasLt is an open cuBLASLt, which adds the bias and a residual while it writes
// a product, and multiplies bf16. Its GELU is the tanh approximation, so that GELU
// stays a kernel of ours.
type blasLt struct {
	*blas
	handle, stream uintptr
	plans          map[ltShape]*ltPlan
	bias           uint64 // the attribute while it is set
	fixed          [5]uint32
	room           uint64 // bytes of workspace
	work           Ptr    // 0: none

	tuner *tuner

	// What a query for algorithms asks by and is answered with.
	preference uintptr
	results    [ltAlgorithms][ltResult / 8]uint64
	found      int32

	create, destroy, descCreate, descSet, descDestroy, layoutCreate, layoutDestroy, matmul uintptr
	prefer, preferSet, preferDestroy, heuristic                                            uintptr
}

// Attributes of cublasLtMatmulDesc_t, an epilogue, an attribute of
// cublasLtMatmulPreference_t, and the size of cublasLtMatmulHeuristicResult_t, whose
// first 64 bytes are the algorithm (cublasLt.h).
const (
	ltTransA, ltEpilogue, ltBias         = 3, 7, 8
	ltEpilogueNone, ltEpilogueBias       = 1, 4
	ltEpilogueTanh                       = 36 // bias, then GELU by tanh
	ltPreferWorkspace                    = 1
	ltResult, ltAlgorithm                = 96, 64
	ltAlgorithms                         = 8
	ltWorkspace                    int64 = 64 << 20
)

// ltPlans is how many shapes are remembered.
const ltPlans = 2048

// ltShape is what a plan depends on.
type ltShape struct {
	m, n, k, lda, ldb int
	half, halfC, bias bool
	tanh              bool
	compute           uintptr
}

// ltPlan is the library's description of an NT product, and the algorithm that it
// runs by: nil is the library's choice.
type ltPlan struct {
	desc, a, b, c uintptr
	algorithm     *[ltAlgorithm / 8]uint64
	found         [][ltAlgorithm / 8]uint64 // to choose from when it runs first
}

// openLt opens the library that stands beside cuBLAS; without it the bias is
// added by a kernel.
func (b *blas) openLt(path string, stream uintptr) error {
	lib, err := shared.open(path)
	if err != nil {
		return err
	}
	return b.useLt(lib, stream)
}

func (b *blas) useLt(lib, stream uintptr) error {
	l := &blasLt{blas: b, stream: stream, plans: map[ltShape]*ltPlan{},
		fixed: [5]uint32{blasT, ltEpilogueNone, ltEpilogueBias, ltEpilogueTanh}}
	for name, fn := range map[string]*uintptr{"cublasLtCreate": &l.create, "cublasLtDestroy": &l.destroy,
		"cublasLtMatmulDescCreate":             &l.descCreate,
		"cublasLtMatmulDescSetAttribute":       &l.descSet,
		"cublasLtMatmulDescDestroy":            &l.descDestroy,
		"cublasLtMatrixLayoutCreate":           &l.layoutCreate,
		"cublasLtMatrixLayoutDestroy":          &l.layoutDestroy,
		"cublasLtMatmul":                       &l.matmul,
		"cublasLtMatmulPreferenceCreate":       &l.prefer,
		"cublasLtMatmulPreferenceSetAttribute": &l.preferSet,
		"cublasLtMatmulPreferenceDestroy":      &l.preferDestroy,
		"cublasLtMatmulAlgoGetHeuristic":       &l.heuristic} {
		var err error
		if *fn, err = shared.symbol(lib, name); err != nil {
			return err
		}
	}
	version, err := shared.symbol(lib, "cublasLtGetVersion")
	if err != nil {
		return err
	}
	if r := b.call(l.create, uintptr(unsafe.Pointer(&l.handle))); r != 0 {
		return fmt.Errorf("cuda: cublasLtCreate: status %d", r)
	}
	l.tuner = openTuner(b.device, b.call(version))
	b.lt = l
	return nil
}

// library names what computes the products.
func (b *blas) library() string {
	if b.lt != nil {
		return b.name + " and Lt"
	}
	return b.name
}

// types are the library's types of the factors and of the result.
func (s *ltShape) types() (in, out uintptr) {
	if s.half {
		in = blasBF16
	}
	if s.halfC {
		out = blasBF16
	}
	return in, out
}

func (g *Gemm) shape(b *blas) ltShape {
	return ltShape{g.M, g.N, g.K, g.A.Ld, g.B.Ld, g.Half, g.HalfC, g.Bias != 0, g.fused(b), b.compute(g)}
}

// fused says that the library takes the activation function into the product: of a
// result in bf16 with a bias the GELU by tanh, and where that may stand for it GELU.
func (g *Gemm) fused(b *blas) bool {
	return g.HalfC && g.Bias != 0 && g.Residual == 0 && (g.Act == TanhGELU || g.Act == GELU && b.tanh)
}

// plan describes a product once; a shape comes back in every step.
func (l *blasLt) plan(g *Gemm) (*ltPlan, error) {
	s := g.shape(l.blas)
	if p, ok := l.plans[s]; ok {
		return p, nil
	}
	if len(l.plans) >= ltPlans {
		if err := l.forget(); err != nil {
			return nil, err
		}
	}
	p := new(ltPlan)
	l.plans[s] = p // on the heap before its fields are filled through addresses
	status := l.call(l.descCreate, uintptr(unsafe.Pointer(&p.desc)), s.compute, blasFloat32)
	epilogue := 1
	if s.bias {
		epilogue = 2
	}
	if s.tanh {
		epilogue = 3
	}
	at := func(i int) uintptr { return uintptr(unsafe.Pointer(&l.fixed[i])) }
	for _, set := range []struct{ name, value uintptr }{{ltTransA, at(0)}, {ltEpilogue, at(epilogue)}} {
		if status == 0 {
			status = l.call(l.descSet, p.desc, set.name, set.value, 4)
		}
	}
	in, out := s.types()
	// Column-major, as blasGemm says: the library's A is our B, K×N, transposed.
	for _, m := range []struct {
		out            *uintptr
		kind           uintptr
		rows, cols, ld int
	}{{&p.a, in, g.K, g.N, g.B.Ld}, {&p.b, in, g.K, g.M, g.A.Ld}, {&p.c, out, g.N, g.M, g.C.Ld}} {
		if status == 0 {
			status = l.call(l.layoutCreate, uintptr(unsafe.Pointer(m.out)), m.kind, uintptr(m.rows), uintptr(m.cols),
				uintptr(m.ld))
		}
	}
	if status == 0 && s.half {
		status = l.choose(p)
	}
	if status != 0 {
		delete(l.plans, s)
		return nil, fmt.Errorf("cuda: describe a product of %d×%d×%d: cuBLASLt status %d", g.M, g.N, g.K, status)
	}
	return p, nil
}

// gemm computes C = A Bᵀ + bias, + the residual where it is not 0, + C where g
// accumulates.
func (l *blasLt) gemm(g *Gemm, residual Ptr) error {
	p, err := l.plan(g)
	if err != nil {
		return err
	}
	l.bias, l.scalars[0], l.scalars[1] = uint64(g.Bias), g.Alpha, 0
	add := g.C.Ptr
	if residual != 0 {
		add, l.scalars[1] = residual, 1
	}
	if g.Accumulate {
		l.scalars[1] = 1
	}
	var status uintptr
	if g.Bias != 0 {
		status = l.call(l.descSet, p.desc, ltBias, uintptr(unsafe.Pointer(&l.bias)), 8)
	}
	run := func() uintptr {
		var work, room uintptr
		if p.algorithm != nil {
			work, room = uintptr(l.work), uintptr(l.room)
		}
		return l.call(l.matmul, l.handle, p.desc, uintptr(unsafe.Pointer(&l.scalars[0])), uintptr(g.B.Ptr), p.a,
			uintptr(g.A.Ptr), p.b, uintptr(unsafe.Pointer(&l.scalars[1])), uintptr(add), p.c, uintptr(g.C.Ptr), p.c,
			uintptr(unsafe.Pointer(p.algorithm)), work, room, l.stream)
	}
	switch {
	case status != 0:
	case g.Accumulate: // which another run would add to
		if len(p.found) > 0 {
			p.algorithm = &p.found[0]
		}
	default:
		err = l.tune(g.shape(l.blas), p, run)
	}
	if err != nil {
		return err
	}
	if status == 0 {
		status = run()
	}
	if status != 0 {
		return fmt.Errorf("cuda: cublasLtMatmul of %d×%d×%d: status %d", g.M, g.N, g.K, status)
	}
	return nil
}

// give lets the library use so much memory of the device.
func (l *blasLt) give(p Ptr, bytes int64) { l.work, l.room = p, uint64(bytes) }

// forget gives the plans back.
func (l *blasLt) forget() error {
	var status uintptr
	for _, p := range l.plans {
		for _, m := range []uintptr{p.a, p.b, p.c} {
			status |= l.call(l.layoutDestroy, m)
		}
		status |= l.call(l.descDestroy, p.desc)
	}
	clear(l.plans)
	if status != 0 {
		return fmt.Errorf("cuda: close cuBLASLt's plans: status %d", status)
	}
	return nil
}

// dropLt goes on without the library.
func (b *blas) dropLt() error {
	l := b.lt
	if l == nil {
		return nil
	}
	b.lt = nil
	if err := l.forget(); err != nil {
		return err
	}
	if status := l.call(l.destroy, l.handle); status != 0 {
		return fmt.Errorf("cuda: close cuBLASLt: status %d", status)
	}
	return nil
}
