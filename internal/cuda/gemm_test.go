package cuda

import (
	"fmt"
	"testing"
)

// gemmRef is C = alpha·op(A)·op(B) + before, in float64.
func gemmRef(form Form, a, b []float32, m, n, k, lda, ldb int, alpha float64, before []float32, ldc int) []float64 {
	c := make([]float64, m*n)
	for i := 0; i < m; i++ {
		for j := 0; j < n; j++ {
			s := 0.0
			for p := 0; p < k; p++ {
				x, y := i*lda+p, j*ldb+p
				if form == TN {
					x = p*lda + i
				}
				if form != NT {
					y = p*ldb + j
				}
				s += float64(a[x]) * float64(b[y])
			}
			c[i*n+j] = alpha * s
			if before != nil {
				c[i*n+j] += float64(before[i*ldc+j])
			}
		}
	}
	return c
}

var forms = []Form{NT, NN, TN}

// extent is the number of values of a rows×cols operand, and its stride with
// pad values between rows.
func operandSize(form Form, which string, m, n, k, pad int) (size, ld int) {
	rows, cols := m, k
	switch {
	case which == "a" && form == TN:
		rows, cols = k, m
	case which == "b" && form == NT:
		rows, cols = n, k
	case which == "b":
		rows, cols = k, n
	}
	return rows * (cols + pad), cols + pad
}

var gemmShapes = []struct{ m, n, k, pad int }{
	{1, 1, 1, 0}, {1, 10, 128, 0}, {65, 33, 17, 1}, {64, 64, 16, 0}, {63, 65, 31, 3}, {197, 64, 64, 0}, {130, 129, 40, 4},
	{5, 3, 0, 0},
}

func TestGemm(t *testing.T) {
	for _, form := range forms {
		for _, s := range gemmShapes {
			for _, accumulate := range []bool{false, true} {
				gemmCase(t, newRig(t, Noise{}), form, s.m, s.n, s.k, s.pad, accumulate, 2e-6)
			}
		}
	}
}

func gemmCase(t *testing.T, r *rig, form Form, m, n, k, pad int, accumulate bool, tol float64) {
	t.Helper()
	na, lda := operandSize(form, "a", m, n, k, pad)
	nb, ldb := operandSize(form, "b", m, n, k, pad)
	ldc := n + pad
	a, b, c := random(na, 1), random(nb, 2), random(m*ldc, 3)
	var before []float32
	if accumulate {
		before = c
	}
	want := gemmRef(form, a, b, m, n, k, lda, ldb, 0.5, before, ldc)
	g := Gemm{Form: form, M: m, N: n, K: k, Alpha: 0.5, Accumulate: accumulate,
		A: Operand{Ptr: put(r, a), Ld: lda}, B: Operand{Ptr: put(r, b), Ld: ldb}, C: Operand{Ptr: put(r, c), Ld: ldc}}
	r.ok(r.Gemm(g))
	got := r.floats(g.C.Ptr, m*ldc)
	tight := make([]float32, 0, m*n)
	for i := 0; i < m; i++ {
		tight = append(tight, got[i*ldc:i*ldc+n]...)
		for j := n; j < ldc; j++ {
			if got[i*ldc+j] != c[i*ldc+j] {
				t.Fatalf("%s %dx%dx%d wrote between rows", form, m, n, k)
			}
		}
	}
	near(t, fmt.Sprintf("%s %d×%d×%d pad %d accumulate %v", form, m, n, k, pad, accumulate), tight, want, tol*float64(k+1))
}

// TestGemmLargeTile runs the 128 tile, which only large matrices choose, by its
// name, and checks that its bits are those of the 64 tile and that the order of
// the threads is of no account.
func TestGemmLargeTile(t *testing.T) {
	r := newRig(t, Noise{})
	const m, n, k = 150, 131, 37
	a, b := random(m*k, 1), random(n*k, 2)
	for _, form := range forms {
		_, lda := operandSize(form, "a", m, n, k, 0)
		_, ldb := operandSize(form, "b", m, n, k, 0)
		run := func(tile int) []float32 {
			c := r.room(4 * m * n)
			args := []Arg{P(c), P(put(r, a)), P(put(r, b)), I(m), I(n), I(k), I(lda), I(ldb), I(n), F(1), I(0),
				P(0), I(0), P(0), P(0), I(1), I(1), L(0), L(0), L(0), L(0), L(0), L(0), P(0), P(0)}
			r.ok(r.Launch(fmt.Sprintf("gemm_%s_%d", form, tile), Dim{(n + tile - 1) / tile, (m + tile - 1) / tile, 1},
				Dim{256, 1, 1}, 0, Compute, args))
			return r.floats(c, m*n)
		}
		small, large := run(64), run(128)
		near(t, string(form), large, gemmRef(form, a, b, m, n, k, lda, ldb, 1, nil, 0), 1e-5)
		equal(t, string(form)+" 128 against 64", large, small)
		if _, ok := r.Driver.(*hostDriver); ok {
			backwards(func() { equal(t, "threads in reverse", run(128), large) })
		}
	}
}

func TestGemmEpilogue(t *testing.T) {
	r := newRig(t, Noise{})
	epilogueCase(t, r, 37, 2e-6)
}

func epilogueCase(t *testing.T, r *rig, n int, tol float64) {
	t.Helper()
	const slots, images, rows, k = 3, 2, 5, 19
	const m = slots * rows
	a, b, bias, res := random(m*k, 1), random(n*k, 2), random(n, 3), random(max(slots, images)*rows*n, 4)
	index := []int32{1, 1, 0}
	for _, c := range []struct{ bias, gelu, res, index bool }{{true, false, false, false}, {true, true, false, false},
		{true, false, true, false},
		{true, true, true, true}, {false, true, false, false}} {
		want := gemmRef(NT, a, b, m, n, k, k, k, 1, nil, 0)
		g := Gemm{Form: NT, M: m, N: n, K: k, Alpha: 1, A: Operand{Ptr: put(r, a), Ld: k}, B: Operand{Ptr: put(r, b), Ld: k},
			C: Operand{Ptr: r.room(4 * m * n), Ld: n}, Act: geluIf(c.gelu), Rows: rows}
		if c.bias {
			g.Bias = put(r, bias)
		}
		if c.res {
			g.Residual = put(r, res)
		}
		if c.index {
			g.Index = put(r, index)
		}
		for i := range want {
			row := i / n
			if c.bias {
				want[i] += float64(bias[i%n])
			}
			if c.gelu {
				want[i] = geluRef(want[i])
			}
			if c.index {
				row = int(index[row/rows])*rows + row%rows
			}
			if c.res {
				want[i] += float64(res[row*n+i%n])
			}
		}
		r.ok(r.Gemm(g))
		near(t, fmt.Sprintf("%+v", c), r.floats(g.C.Ptr, m*n), want, tol*k)
	}
}

// TestGemmBatch multiplies every head of every slot with the slot looked up, as
// attention does.
func TestGemmBatch(t *testing.T) { batchCase(t, newRig(t, Noise{}), 2e-6) }

func batchCase(t *testing.T, r *rig, tol float64) {
	t.Helper()
	const slots, images, heads, rows, tokens, d = 3, 2, 2, 5, 9, 7
	const width = heads * d
	q, k := random(slots*rows*width, 1), random(images*tokens*width, 2)
	index := []int32{1, 0, 1}
	out := r.room(4 * slots * heads * rows * tokens)
	r.ok(r.Gemm(Gemm{Form: NT, M: rows, N: tokens, K: d, Alpha: 0.25, Slots: slots, Heads: heads,
		A: Operand{Ptr: put(r, q), Ld: width, Slot: rows * width, Head: d},
		B: Operand{Ptr: put(r, k), Ld: width, Slot: tokens * width, Head: d, Index: put(r, index)},
		C: Operand{Ptr: out, Ld: tokens, Slot: heads * rows * tokens, Head: rows * tokens}}))
	got := r.floats(out, slots*heads*rows*tokens)
	for s := 0; s < slots; s++ {
		for h := 0; h < heads; h++ {
			want := gemmRef(NT, q[s*rows*width+h*d:], k[int(index[s])*tokens*width+h*d:], rows, tokens, d, width, width, 0.25,
				nil, 0)
			at := (s*heads + h) * rows * tokens
			near(t, fmt.Sprintf("slot %d head %d", s, h), got[at:at+rows*tokens], want, tol*d)
		}
	}
}

func TestGemmRefusesAnEpilogueOfABatch(t *testing.T) {
	r := newRig(t, Noise{})
	if err := r.Gemm(Gemm{Form: NN, M: 1, N: 1, K: 1, Act: GELU, C: Operand{Ld: 1}}); err == nil {
		t.Error("an NN product with GELU was accepted")
	}
}

// TestChunked cuts a batch where it is larger than a grid.
func TestChunked(t *testing.T) {
	r := newRig(t, Noise{})
	const slots, m = 5, 3
	x := random(slots*m*m, 1)
	index := []int32{4, 3, 2, 1, 0}
	c := r.room(4 * slots * m * m)
	g := Gemm{Form: NN, M: m, N: m, K: m, Alpha: 1, Slots: slots,
		A: Operand{Ptr: put(r, x), Ld: m, Slot: m * m}, B: Operand{Ptr: put(r, x), Ld: m, Slot: m * m, Index: put(r, index)},
		C: Operand{Ptr: c, Ld: m, Slot: m * m}}
	calls := 0
	r.ok(r.chunked(g, 2, func(p Gemm) error { calls++; return r.ownGemm(p) }))
	if calls != 3 {
		t.Errorf("%d calls, want 3", calls)
	}
	got := r.floats(c, slots*m*m)
	for s := 0; s < slots; s++ {
		want := gemmRef(NN, x[s*m*m:], x[int(index[s])*m*m:], m, m, m, m, m, 1, nil, 0)
		near(t, fmt.Sprintf("slot %d", s), got[s*m*m:(s+1)*m*m], want, 1e-5)
	}
}
