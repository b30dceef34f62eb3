package cuda

import (
	"fmt"
	"unsafe"
)

// blasLt is an open cuBLASLt, which adds the bias and a residual while it writes
// a product. Its GELU is the tanh approximation, so that GELU stays a kernel of
// ours.
type blasLt struct {
	*blas
	handle, stream uintptr
	plans          map[ltShape]*ltPlan
	bias           uint64    // the attribute while it is set
	fixed          [2]uint32 // the attributes of every plan

	create, destroy, descCreate, descSet, descDestroy, layoutCreate, layoutDestroy, matmul uintptr
}

// Attributes of cublasLtMatmulDesc_t and one of its epilogues (cublasLt.h).
const (
	ltTransA, ltEpilogue, ltBias = 3, 7, 8
	ltEpilogueBias               = 4
)

// ltShape is what a plan depends on.
type ltShape struct{ m, n, k, lda, ldb int }

// ltPlan is the library's description of an NT product.
type ltPlan struct{ desc, a, b, c uintptr }

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
	l := &blasLt{blas: b, stream: stream, plans: map[ltShape]*ltPlan{}, fixed: [2]uint32{blasT, ltEpilogueBias}}
	for name, fn := range map[string]*uintptr{"cublasLtCreate": &l.create, "cublasLtDestroy": &l.destroy,
		"cublasLtMatmulDescCreate":       &l.descCreate,
		"cublasLtMatmulDescSetAttribute": &l.descSet, "cublasLtMatmulDescDestroy": &l.descDestroy,
		"cublasLtMatrixLayoutCreate":  &l.layoutCreate,
		"cublasLtMatrixLayoutDestroy": &l.layoutDestroy, "cublasLtMatmul": &l.matmul} {
		var err error
		if *fn, err = shared.symbol(lib, name); err != nil {
			return err
		}
	}
	if r := b.call(l.create, uintptr(unsafe.Pointer(&l.handle))); r != 0 {
		return fmt.Errorf("cuda: cublasLtCreate: status %d", r)
	}
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

// plan describes a product once; a shape comes back in every step.
func (l *blasLt) plan(g *Gemm) (*ltPlan, error) {
	s := ltShape{g.M, g.N, g.K, g.A.Ld, g.B.Ld}
	if p, ok := l.plans[s]; ok {
		return p, nil
	}
	p := new(ltPlan)
	l.plans[s] = p // on the heap before its fields are filled through addresses
	status := l.call(l.descCreate, uintptr(unsafe.Pointer(&p.desc)), l.compute(), blasFloat32)
	at := func(i int) uintptr { return uintptr(unsafe.Pointer(&l.fixed[i])) }
	for _, set := range []struct{ name, value uintptr }{{ltTransA, at(0)}, {ltEpilogue, at(1)}} {
		if status == 0 {
			status = l.call(l.descSet, p.desc, set.name, set.value, 4)
		}
	}
	// Column-major, as blasGemm says: the library's A is our B, K×N, transposed.
	for _, m := range []struct {
		out            *uintptr
		rows, cols, ld int
	}{{&p.a, g.K, g.N, g.B.Ld}, {&p.b, g.K, g.M, g.A.Ld}, {&p.c, g.N, g.M, g.C.Ld}} {
		if status == 0 {
			status = l.call(l.layoutCreate, uintptr(unsafe.Pointer(m.out)), blasFloat32, uintptr(m.rows), uintptr(m.cols),
				uintptr(m.ld))
		}
	}
	if status != 0 {
		delete(l.plans, s)
		return nil, fmt.Errorf("cuda: describe a product of %d×%d×%d: cuBLASLt status %d", g.M, g.N, g.K, status)
	}
	return p, nil
}

// gemm computes C = A Bᵀ + bias, + the residual where it is not 0.
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
	status := l.call(l.descSet, p.desc, ltBias, uintptr(unsafe.Pointer(&l.bias)), 8)
	if status == 0 {
		status = l.call(l.matmul, l.handle, p.desc, uintptr(unsafe.Pointer(&l.scalars[0])), uintptr(g.B.Ptr), p.a,
			uintptr(g.A.Ptr), p.b,
			uintptr(unsafe.Pointer(&l.scalars[1])), uintptr(add), p.c, uintptr(g.C.Ptr), p.c, 0, 0, 0, l.stream)
	}
	if status != 0 {
		return fmt.Errorf("cuda: cublasLtMatmul of %d×%d×%d: status %d", g.M, g.N, g.K, status)
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
	var status uintptr
	for _, p := range l.plans {
		for _, m := range []uintptr{p.a, p.b, p.c} {
			status |= l.call(l.layoutDestroy, m)
		}
		status |= l.call(l.descDestroy, p.desc)
	}
	if status |= l.call(l.destroy, l.handle); status != 0 {
		return fmt.Errorf("cuda: close cuBLASLt: status %d", status)
	}
	return nil
}
