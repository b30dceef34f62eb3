package kernel

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

// forEachEngine runs f with every engine of this machine selected.
func forEachEngine(t *testing.T, f func(t *testing.T)) {
	before := active().name
	defer func() {
		if err := Select(before); err != nil {
			t.Fatal(err)
		}
	}()
	for _, name := range Kernels() {
		t.Run(name, func(t *testing.T) {
			if err := Select(name); err != nil {
				t.Fatal(err)
			}
			f(t)
		})
	}
}

// refProduct is A·B in float64 with, beside each element, Σ|a||b|.
func refProduct(at, bt func(i, j int) float32, m, n, k int) (c, abs []float64) {
	c, abs = make([]float64, m*n), make([]float64, m*n)
	for i := range m {
		for j := range n {
			for p := range k {
				v := float64(at(i, p)) * float64(bt(p, j))
				c[i*n+j] += v
				abs[i*n+j] += math.Abs(v)
			}
		}
	}
	return c, abs
}

// geluRef is the exact GELU in float64.
func geluRef(x float64) float64 { return x * 0.5 * math.Erfc(-x/math.Sqrt2) }

// gemmCase is one product with everything an epilogue can ask for, or a part.
type gemmCase struct {
	m, n, k             int
	padA, padC          int
	nt, acc, bias, gelu bool
	pre, residual       bool
	scale               float32
}

func (g gemmCase) String() string {
	return fmt.Sprintf("%dx%dx%d/padA=%d,padC=%d,nt=%t,acc=%t,bias=%t,gelu=%t,pre=%t,res=%t,scale=%g",
		g.m, g.n, g.k, g.padA, g.padC, g.nt, g.acc, g.bias, g.gelu, g.pre, g.residual, g.scale)
}

// check runs the case against float64. A sum of k products in any order, fused
// or not, is off by at most (k+1)·2^-24·Σ|a||b| to first order (Higham, Accuracy
// and Stability of Numerical Algorithms, 3.1); scale, C, bias and residual add
// one rounding each; GELU's slope is at most 1.13 and its own error 4 ulp.
func (g gemmCase) check(t *testing.T, r *rand.Rand, s *Scratch) {
	t.Helper()
	lda, ldc := g.k+g.padA, g.n+g.padC
	a, c0 := randn(r, g.m*lda), randn(r, g.m*ldc)
	b, bias, res := randn(r, g.n*g.k), randn(r, g.n), randn(r, g.m*ldc)
	pre := make([]float32, g.m*ldc)
	c := append([]float32(nil), c0...)
	var p Packed
	bt := func(i, j int) float32 { return b[i*g.n+j] }
	if g.nt {
		bt = func(i, j int) float32 { return b[j*g.k+i] }
		p.PackNT(b, g.n, g.k, g.k)
	} else {
		p.PackNN(b, g.k, g.n, g.n)
	}
	if p.Rows() != g.k || p.Cols() != g.n || p.Bytes() < 4*g.k*g.n {
		t.Fatalf("%v: packed as %dx%d in %d bytes", g, p.Rows(), p.Cols(), p.Bytes())
	}
	ep := Epilogue{Accumulate: g.acc, GELU: g.gelu, Scale: g.scale}
	if g.bias {
		ep.Bias = bias
	}
	if g.pre {
		ep.Pre, ep.LdPre = pre, ldc
	}
	if g.residual {
		ep.Residual, ep.LdRes = res, ldc
	}
	Gemm(c, ldc, a, lda, g.m, &p, &ep, s)

	sum, abs := refProduct(func(i, j int) float32 { return a[i*lda+j] }, bt, g.m, g.n, g.k)
	for i := range g.m {
		for j := range ldc {
			got := float64(c[i*ldc+j])
			if j >= g.n {
				if c[i*ldc+j] != c0[i*ldc+j] || pre[i*ldc+j] != 0 {
					t.Fatalf("%v: wrote beyond row %d", g, i)
				}
				continue
			}
			want, size := sum[i*g.n+j], abs[i*g.n+j]
			if g.scale != 0 {
				want, size = want*float64(g.scale), size*math.Abs(float64(g.scale))
			}
			if g.acc {
				want, size = want+float64(c0[i*ldc+j]), size+math.Abs(float64(c0[i*ldc+j]))
			}
			if g.bias {
				want, size = want+float64(bias[j]), size+math.Abs(float64(bias[j]))
			}
			tol := float64(g.k+5) * 0x1p-24 * size
			if g.pre && math.Abs(float64(pre[i*ldc+j])-want) > tol {
				t.Fatalf("%v: Pre[%d][%d] = %g, want %g ± %g", g, i, j, pre[i*ldc+j], want, tol)
			}
			if g.gelu {
				want, tol = geluRef(want), 1.13*tol+4*0x1p-23*math.Abs(want)
			}
			if g.residual {
				want += float64(res[i*ldc+j])
				tol += 0x1p-24 * (math.Abs(float64(res[i*ldc+j])) + math.Abs(want))
			}
			if !(math.Abs(got-want) <= tol) {
				t.Fatalf("%v: C[%d][%d] = %g, want %g ± %g", g, i, j, got, want, tol)
			}
		}
	}
}

// awkward sizes: one, tiles' edges on either side, odd, several blocks of k.
var awkward = []int{1, 2, 3, 5, 6, 7, 8, 13, 14, 15, 16, 17, 20, 31, 32, 33, 48, 65}

func TestGemm(t *testing.T) {
	forEachEngine(t, func(t *testing.T) {
		r := rand.New(rand.NewSource(1))
		var s Scratch
		pick := func(list []int) int { return list[r.Intn(len(list))] }
		for range 120 {
			g := gemmCase{m: pick(awkward), n: pick(awkward), k: pick(awkward),
				padA: r.Intn(4), padC: r.Intn(4), nt: r.Intn(2) == 0, acc: r.Intn(3) == 0,
				bias: r.Intn(2) == 0, gelu: r.Intn(2) == 0, pre: r.Intn(3) == 0, residual: r.Intn(3) == 0}
			if r.Intn(3) == 0 {
				g.scale = 0.25
			}
			g.check(t, r, &s)
		}
		for _, g := range []gemmCase{
			{m: 150, n: 65, k: 768, nt: true, bias: true, gelu: true, pre: true, residual: true},
			{m: 150, n: 300, k: 259, nt: true, bias: true, residual: true},
			{m: 31, n: 530, k: 1030, acc: true, scale: 0.125},
		} {
			g.check(t, r, &s)
		}
	})
}

func TestGemmTN(t *testing.T) {
	forEachEngine(t, func(t *testing.T) {
		r := rand.New(rand.NewSource(2))
		var s Scratch
		run := func(m, n, k, pad int, acc bool) {
			lda, ldb, ldc := m+pad, n+pad, n+pad
			a, b, c := randn(r, k*lda), randn(r, k*ldb), randn(r, m*ldc)
			c0 := append([]float32(nil), c...)
			GemmTN(c, ldc, a, lda, b, ldb, m, n, k, acc, &s)
			want, abs := refProduct(func(i, p int) float32 { return a[p*lda+i] },
				func(p, j int) float32 { return b[p*ldb+j] }, m, n, k)
			for i := range m {
				for j := range ldc {
					if j >= n {
						if c[i*ldc+j] != c0[i*ldc+j] {
							t.Fatalf("%dx%dx%d: wrote beyond row %d", m, n, k, i)
						}
						continue
					}
					w, size := want[i*n+j], abs[i*n+j]
					if acc {
						w, size = w+float64(c0[i*ldc+j]), size+math.Abs(float64(c0[i*ldc+j]))
					}
					if d := math.Abs(float64(c[i*ldc+j]) - w); !(d <= float64(k+5)*0x1p-24*size) {
						t.Fatalf("%dx%dx%d pad %d acc %t: C[%d][%d] = %g, want %g", m, n, k, pad, acc, i, j, c[i*ldc+j], w)
					}
				}
			}
		}
		for range 80 {
			run(awkward[r.Intn(len(awkward))], awkward[r.Intn(len(awkward))], awkward[r.Intn(len(awkward))], r.Intn(3),
				r.Intn(2) == 0)
		}
		run(128, 384, 1, 0, true)
		run(150, 128, 65, 0, true)
		run(33, 70, 600, 1, false)
	})
}

// TestGemmRowsKeepBits holds every row to the bits it has when computed alone:
// the promise that batching and workers rest on.
func TestGemmRowsKeepBits(t *testing.T) {
	forEachEngine(t, func(t *testing.T) {
		if active().unsteady {
			t.Skip(Describe())
		}
		r := rand.New(rand.NewSource(3))
		var s Scratch
		for _, shape := range [][2]int{{65, 32}, {32, 65}, {128, 128}, {130, 300}} {
			n, k, most := shape[0], shape[1], 200
			a, w, bias, res := randn(r, most*k), randn(r, n*k), randn(r, n), randn(r, n)
			var p Packed
			p.PackNT(w, n, k, k)
			ep := Epilogue{Bias: bias, GELU: true, Residual: res, LdRes: n}
			want := make([]float32, most*n)
			for i := range most {
				Gemm(want[i*n:], n, a[i*k:], k, 1, &p, &ep, &s)
			}
			ep.LdRes = n
			all := make([]float32, most*n)
			for i := range most {
				copy(all[i*n:], res)
			}
			ep.Residual = all
			for _, m := range []int{2, 3, 5, 7, 9, 13, 20, 65, 151, most} {
				first := r.Intn(most - m + 1)
				c := make([]float32, m*n)
				Gemm(c, n, a[first*k:], k, m, &p, &ep, &s)
				for i, v := range c {
					if math.Float32bits(v) != math.Float32bits(want[first*n+i]) {
						t.Fatalf("n=%d k=%d m=%d: row %d, column %d is %g in the batch and %g alone", n, k, m, i/n, i%n, v,
							want[first*n+i])
					}
				}
			}
		}
	})
}

func TestGemmDoesNotAllocate(t *testing.T) {
	forEachEngine(t, func(t *testing.T) {
		r := rand.New(rand.NewSource(4))
		const m, n, k = 130, 200, 300
		a, w, c := randn(r, m*k), randn(r, n*k), make([]float32, m*n)
		g := make([]float32, n*k)
		var s Scratch
		var p Packed
		run := func() {
			p.PackNT(w, n, k, k)
			Gemm(c, n, a, k, m, &p, &Epilogue{Bias: w[:n], GELU: true}, &s)
			GemmTN(g, k, c, n, a, k, n, k, m, true, &s)
		}
		run()
		limit := 0.0
		if active().library {
			limit = (m+blasRows-1)/blasRows + (n+blasRows-1)/blasRows // one a call
		}
		if allocs := testkit.Allocations(t, 5, run); allocs > limit {
			t.Errorf("%v allocations per product, at most %v wanted", allocs, limit)
		}
	})
}

// TestCopyStrip holds the packing kernels, also those of tiles that this
// processor has no use for, to a plain copy that touches nothing else.
func TestCopyStrip(t *testing.T) {
	r := rand.New(rand.NewSource(5))
	for _, width := range []int{6, 14, 16, 32} {
		const rows, ld = 5, 37
		src := randn(r, (rows-1)*ld+width)
		want := make([]float32, rows*width+8)
		got := make([]float32, len(want))
		for i := range rows {
			copy(want[i*width:][:width], src[i*ld:])
		}
		if !copyStrip(got, src, ld, width, rows) {
			t.Skip("no packing kernels for this processor")
		}
		if !slices.Equal(got, want) {
			t.Errorf("width %d: %v, want %v", width, got, want)
		}
	}
}

// FuzzGemm compares awkward products with float64; the seeds run as a test.
func FuzzGemm(f *testing.F) {
	f.Add(uint16(65), uint16(65), uint16(32), uint8(0), int64(1))
	f.Add(uint16(97), uint16(33), uint16(385), uint8(0xFF), int64(2))
	f.Add(uint16(15), uint16(17), uint16(769), uint8(0x55), int64(3))
	f.Fuzz(func(t *testing.T, m, n, k uint16, flags uint8, seed int64) {
		bit := func(i int) bool { return flags>>i&1 == 1 }
		g := gemmCase{m: 1 + int(m)%200, n: 1 + int(n)%200, k: 1 + int(k)%1000,
			padA: int(flags & 3), padC: int(flags >> 6), nt: bit(0), acc: bit(1), bias: bit(2),
			gelu: bit(3), pre: bit(4), residual: bit(5)}
		if bit(7) {
			g.scale = -1.5
		}
		g.check(t, rand.New(rand.NewSource(seed)), new(Scratch))
	})
}

func TestGemmRejectsShortSlices(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a C that is too short was accepted")
		}
	}()
	var p Packed
	var s Scratch
	p.PackNN(make([]float32, 6), 2, 3, 3)
	Gemm(make([]float32, 5), 3, make([]float32, 4), 2, 2, &p, nil, &s)
}
