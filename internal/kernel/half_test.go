package kernel

import (
	"math"
	"math/big"
	"math/rand"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// forEachHalf runs f with every kernel of bf16 of this machine selected.
func forEachHalf(t *testing.T, f func(t *testing.T, name string)) {
	before := activeHalf()
	defer halfCurrent.Store(before)
	for _, name := range HalfKernels() {
		t.Run(name, func(t *testing.T) {
			if err := SelectHalf(name); err != nil {
				t.Fatal(err)
			}
			f(t, name)
		})
	}
}

// wide are numbers of many sizes, those that fall below the normal ones among them.
func wide(r *rand.Rand, n, spread int) []float32 {
	x := randn(r, n)
	for i := range x {
		x[i] *= float32(math.Exp2(float64(r.Intn(2*spread+1) - spread)))
	}
	return x
}

// halfProduct is what a sum is, from the definition in half.go alone, with numbers of
// arbitrary precision where a rounding is in doubt.
func halfProduct(a, w []float32, bias float32) float32 {
	sum := bias
	for q := 0; q < len(a); q += 32 {
		var part [2]float32
		for i := q; i < min(q+32, len(a)); i++ {
			part[i%2] = fused(part[i%2], FromHalf(RoundHalf(a[i])), FromHalf(RoundHalf(w[i])))
		}
		sum = addFlushed(sum, addFlushed(part[0], part[1]))
	}
	return sum
}

// TestFused: one rounding, of the exact number, also where the result is about as small
// as a normal number can be.
func TestFused(t *testing.T) {
	r := rand.New(rand.NewSource(8))
	for range 20000 {
		spread := []int{3, 20, 50, 30}[r.Intn(4)]
		v := wide(r, 3, spread)
		x, y := FromHalf(RoundHalf(v[0])), FromHalf(RoundHalf(v[1]))
		if spread == 30 { // a product near the least normal number
			y = FromHalf(RoundHalf(float32(math.Exp2(-126) / float64(x) * (1 + r.Float64()/256))))
		}
		sum := v[2]
		if r.Intn(2) == 0 {
			sum = zeroed(float32(math.Ldexp(r.NormFloat64(), -126)))
		}
		exact := new(big.Float).SetPrec(500).SetFloat64(float64(x))
		exact.Mul(exact, new(big.Float).SetFloat64(float64(y)))
		exact.Add(exact, new(big.Float).SetFloat64(float64(sum)))
		want, _ := new(big.Float).SetPrec(24).Set(exact).Float64()
		if math.Abs(want) < smallest {
			want = 0
		}
		if got := fused(sum, x, y); float64(got) != want {
			t.Fatalf("%g + %g·%g is %g, not %g", sum, x, y, got, want)
		}
	}
}

// TestHalfBits: every kernel has the bits of the definition, in all edges, with numbers
// that are flushed on the way.
func TestHalfBits(t *testing.T) {
	forEachHalf(t, func(t *testing.T, _ string) {
		r := rand.New(rand.NewSource(1))
		var s HalfScratch
		for _, c := range []struct{ m, n, k, spread int }{
			{1, 1, 1, 0}, {1, 32, 32, 2}, {33, 37, 31, 3}, {65, 96, 300, 10}, {7, 5, 64, 63}, {40, 33, 1000, 20},
			{14, 16, 77, 40},
		} {
			a, w, bias := wide(r, c.m*(c.k+3), c.spread), wide(r, c.n*(c.k+1), c.spread), wide(r, c.n, c.spread)
			var b Half
			b.PackNT(w, c.n, c.k, c.k+1)
			out := make([]float32, c.m*(c.n+2))
			GemmHalf(out, c.n+2, a, c.k+3, c.m, &b, &Epilogue{Bias: bias}, &s)
			wrong := 0
			for i := range c.m {
				for j := range c.n {
					want := halfProduct(a[i*(c.k+3):][:c.k], w[j*(c.k+1):][:c.k], bias[j])
					if math.Float32bits(out[i*(c.n+2)+j]) != math.Float32bits(want) {
						if wrong++; wrong < 4 {
							t.Errorf("%v: element %d,%d is %g, not %g", c, i, j, out[i*(c.n+2)+j], want)
						}
					}
				}
			}
			if wrong > 0 {
				t.Errorf("%v: %d of %d elements have other bits", c, wrong, c.m*c.n)
			}
		}
	})
}

// TestHalfEpilogue: GELU and the residual are those of float32 products.
func TestHalfEpilogue(t *testing.T) {
	forEachHalf(t, func(t *testing.T, _ string) {
		r := rand.New(rand.NewSource(2))
		var s HalfScratch
		m, n, k := 21, 70, 48
		a, w, bias, res := randn(r, m*k), randn(r, n*k), randn(r, n), randn(r, m*n)
		var b Half
		b.PackNT(w, n, k, k)
		plain, out := make([]float32, m*n), make([]float32, m*n)
		GemmHalf(plain, n, a, k, m, &b, &Epilogue{Bias: bias}, &s)
		for _, gelu := range []bool{false, true} {
			GemmHalf(out, n, a, k, m, &b, &Epilogue{Bias: bias, GELU: gelu, Residual: res, LdRes: n}, &s)
			want := append([]float32(nil), plain...)
			if gelu {
				GELU(want, want)
			}
			for i, x := range res {
				if w := want[i] + x; out[i] != w {
					t.Fatalf("gelu %t: element %d is %g, not %g", gelu, i, out[i], w)
				}
			}
		}
	})
}

// TestHalfError: a sum is off by what two roundings to bf16 of each product and k
// additions of float32 make of it.
func TestHalfError(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	var s HalfScratch
	m, n, k := 9, 40, 512
	a, w := randn(r, m*k), randn(r, n*k)
	var b Half
	b.PackNT(w, n, k, k)
	out := make([]float32, m*n)
	GemmHalf(out, n, a, k, m, &b, nil, &s)
	c, abs := refProduct(func(i, j int) float32 { return a[i*k+j] }, func(i, j int) float32 { return w[j*k+i] }, m, n, k)
	for i := range c {
		bound := abs[i] * (2*math.Exp2(-9) + math.Exp2(-18) + float64(k+1)*math.Exp2(-24))
		if d := math.Abs(float64(out[i]) - c[i]); d > bound {
			t.Fatalf("element %d is off by %g, more than %g", i, d, bound)
		}
	}
}

// TestRoundHalf: every float32 of a sample goes to the nearest bf16, and all kernels
// round alike.
func TestRoundHalf(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	x := make([]float32, 1<<16)
	for i := range x {
		x[i] = math.Float32frombits(r.Uint32())
		if i%8 == 0 { // ties, and what is near them
			x[i] = math.Float32frombits(r.Uint32()&^0xffff | 0x8000 + uint32(r.Intn(3)) - 1)
		}
	}
	got := append([]float32(nil), x...)
	roundRows(got)
	for i, v := range x {
		h := FromHalf(RoundHalf(v))
		if math.Float32bits(got[i]) != math.Float32bits(h) {
			t.Fatalf("%g rounds to %g by vectors and to %g alone", v, got[i], h)
		}
		up := math.Float32frombits(math.Float32bits(h) + 1<<16)
		down := math.Float32frombits(math.Float32bits(h) - 1<<16)
		if math.IsNaN(float64(v)) {
			if h == h {
				t.Fatalf("NaN became %g", h)
			}
			continue
		}
		if math.Abs(float64(v)) < smallest {
			if h != 0 || math.Signbit(float64(h)) != math.Signbit(float64(v)) {
				t.Fatalf("%g became %g", v, h)
			}
			continue
		}
		if d := math.Abs(float64(v) - float64(h)); !math.IsInf(float64(h), 0) &&
			(d > math.Abs(float64(v)-float64(up)) || d > math.Abs(float64(v)-float64(down))) {
			t.Fatalf("%g rounds to %g, and %g or %g is nearer", v, h, up, down)
		}
	}
}

// TestHalfRows: a row has its bits wherever it stands.
func TestHalfRows(t *testing.T) {
	forEachHalf(t, func(t *testing.T, _ string) {
		r := rand.New(rand.NewSource(5))
		var s HalfScratch
		const n, k, m = 40, 1100, 300
		a, w := randn(r, m*k), randn(r, n*k)
		var b Half
		b.PackNT(w, n, k, k)
		all, one := make([]float32, m*n), make([]float32, n)
		GemmHalf(all, n, a, k, m, &b, nil, &s)
		for _, i := range []int{0, 31, 32, 255, 256, m - 1} {
			GemmHalf(one, n, a[i*k:], k, 1, &b, nil, &s)
			for j, v := range one {
				if math.Float32bits(v) != math.Float32bits(all[i*n+j]) {
					t.Fatalf("row %d has other bits alone", i)
				}
			}
		}
	})
}

// TestHalfPackNN: a matrix and its transpose are packed alike.
func TestHalfPackNN(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewSource(9))
		for _, c := range [][2]int{{1, 1}, {32, 32}, {33, 31}, {65, 20}, {70, 90}} {
			k, n := c[0], c[1]
			b, w := wide(r, k*(n+3), 130), make([]float32, n*k)
			for i := range k {
				for j := range n {
					w[j*k+i] = b[i*(n+3)+j]
				}
			}
			var nn, nt Half
			nn.PackNN(b, k, n, n+3)
			nt.PackNT(w, n, k, k)
			if !slices.Equal(nn.data, nt.data) {
				t.Errorf("%d×%d is packed otherwise than its transpose", k, n)
			}
		}
	})
}

// TestHalfApart: where a kernel's pairs are of even k, then of odd k, every value stands
// where it should, in A and in B, at every level of instructions.
func TestHalfApart(t *testing.T) {
	e := &halfEngine{name: "apart", rows: 6, bytes: 2, most: 252, apart: true, lay: layApart}
	at := func(k int) int { // of a step's 32 values
		return 16*(k%2) + k/4*2 + 1 - k/2%2
	}
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewSource(10))
		for _, c := range [][3]int{{1, 1, 1}, {7, 40, 64}, {13, 33, 77}} {
			m, n, k := c[0], c[1], c[2]
			a, w := wide(r, m*(k+2), 60), wide(r, n*k, 60)
			var b Half
			b.pack(e, w, n, k, k)
			var s HalfScratch
			layApart(e, a, k+2, m, &b, &s)
			if len(s.tiles) != roundUp(m, 6)*b.steps*halfStep {
				t.Fatalf("%v: %d values of A", c, len(s.tiles))
			}
			for i, v := range s.tiles {
				row, q := i/(b.steps*halfStep), i%(b.steps*halfStep)
				for j := range halfStep {
					if at(j) != q%halfStep {
						continue
					}
					var want uint16
					if x := q/halfStep*halfStep + j; row < m && x < k {
						want = RoundHalf(a[row*(k+2)+x])
					}
					if v != want {
						t.Fatalf("%v: value %d of row %d of A is %#x, not %#x", c, q, row, v, want)
					}
				}
			}
			for j := range n {
				for x := range k {
					p := at(x % halfStep)
					if got, want := b.tile(x/halfStep, j)[p/2*32+j%16*2+p%2], RoundHalf(w[j*k+x]); got != want {
						t.Fatalf("%v: weight %d,%d is %#x, not %#x", c, j, x, got, want)
					}
				}
			}
		}
	})
}

// TestAttentionHalf compares with float64, and every kernel and level with the portable
// one bit for bit; the softmax is the level's own, so that it is kept the same.
func TestAttentionHalf(t *testing.T) {
	first := map[int][]float32{}
	forEachHalf(t, func(t *testing.T, _ string) {
		for n, c := range attentionShapes {
			r := rand.New(rand.NewSource(1))
			dim := c.heads * c.hd
			q, k, v := randn(r, c.rows*dim), randn(r, c.tokens*(dim+3)), randn(r, c.tokens*3*dim)
			scale := float32(1 / math.Sqrt(float64(c.hd)))
			out := make([]float32, c.rows*dim)
			var s HalfAttention
			AttentionHalf(out, dim, q, dim, c.rows, k, dim+3, v, 3*dim, c.tokens, c.heads, c.hd, scale, nil, &s)
			want, _ := attention64(q, k, v, dim, dim+3, 3*dim, c.rows, c.tokens, c.heads, c.hd, float64(scale))
			for i, x := range out {
				if d := math.Abs(float64(x) - want[i]); !(d < 0.03) {
					t.Fatalf("%v: value %d is %g, not %g", c, i, x, want[i])
				}
			}
			one := make([]float32, dim)
			last := c.rows - 1
			AttentionHalf(one, dim, q[last*dim:], dim, 1, k, dim+3, v, 3*dim, c.tokens, c.heads, c.hd, scale, nil, &s)
			if !slices.Equal(one, out[last*dim:]) {
				t.Errorf("%v: the last row has other bits alone", c)
			}
			if first[n] == nil {
				first[n] = out
			} else if !slices.Equal(first[n], out) {
				t.Errorf("%v: other bits than those of %s", c, HalfKernels()[0])
			}
		}
	})
}

// TestHalfInterrupted multiplies on many goroutines while the collector, the scheduler
// and a growing stack interrupt them: the tile unit's registers are nobody else's.
func TestHalfInterrupted(t *testing.T) {
	forEachHalf(t, func(t *testing.T, name string) {
		if name == "portable" {
			t.Skip("in Go alone nothing can be lost")
		}
		r := rand.New(rand.NewSource(6))
		const m, n, k = 96, 96, 512
		a, w := randn(r, m*k), randn(r, n*k)
		var b Half
		b.PackNT(w, n, k, k)
		want := make([]float32, m*n)
		var sc HalfScratch
		GemmHalf(want, n, a, k, m, &b, nil, &sc)
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
		stop := time.Now().Add(300 * time.Millisecond)
		var wg sync.WaitGroup
		for range 16 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				var s HalfScratch
				c := make([]float32, m*n)
				for i := 0; time.Now().Before(stop); i++ {
					clear(c)
					GemmHalf(c, n, a, k, m, &b, nil, &s)
					for q := range c {
						if math.Float32bits(c[q]) != math.Float32bits(want[q]) {
							t.Errorf("element %d is %g, not %g", q, c[q], want[q])
							return
						}
					}
					deep(i % 200)
					if i%3 == 0 {
						runtime.Gosched()
					}
				}
			}()
		}
		for time.Now().Before(stop) {
			runtime.GC()
		}
		wg.Wait()
		// What other code does with the vector unit is as it was.
		if tiny := math.Float32frombits(5); tiny*0.5 == 0 || tiny+tiny == 0 {
			t.Error("numbers below the normal ones are zero outside of the kernels")
		}
	})
}

// deep grows the stack by n frames.
func deep(n int) int {
	var x [64]int
	if n == 0 {
		return x[0]
	}
	x[n%64] = deep(n - 1)
	return x[n%64] + 1
}

// BenchmarkHalf is the rate of the products of a small ViT's and ViT-B/16's layers.
func BenchmarkHalf(b *testing.B) {
	r := rand.New(rand.NewSource(7))
	for _, c := range []struct {
		name    string
		m, n, k int
	}{{"520x384x128", 520, 384, 128}, {"520x512x128", 520, 512, 128}, {"520x128x512", 520, 128, 512},
		{"394x768x768", 394, 768, 768}, {"394x3072x768", 394, 3072, 768}, {"394x768x3072", 394, 768, 3072}} {
		a, w, bias, out := randn(r, c.m*c.k), randn(r, c.n*c.k), randn(r, c.n), make([]float32, c.m*c.n)
		rate := func(b *testing.B) {
			b.ReportMetric(2*float64(c.m)*float64(c.n)*float64(c.k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		}
		var f Packed
		f.PackNT(w, c.n, c.k, c.k)
		var fs Scratch
		b.Run("fp32/"+c.name, func(b *testing.B) {
			for range b.N {
				Gemm(out, c.n, a, c.k, c.m, &f, &Epilogue{Bias: bias}, &fs)
			}
			rate(b)
		})
		before := activeHalf()
		for _, name := range HalfKernels() {
			if name == "portable" {
				continue
			}
			if err := SelectHalf(name); err != nil {
				b.Fatal(err)
			}
			var h Half
			h.PackNT(w, c.n, c.k, c.k)
			var s HalfScratch
			b.Run(name+"/"+c.name, func(b *testing.B) {
				for range b.N {
					GemmHalf(out, c.n, a, c.k, c.m, &h, &Epilogue{Bias: bias}, &s)
				}
				rate(b)
			})
		}
		halfCurrent.Store(before)
	}
}
