package kernel

import (
	"math"
	"math/rand"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

func randn(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// maxDiff is the largest distance between a and b, NaN when a has one.
func maxDiff(a []float32, b []float64) float64 {
	var m float64
	for i := range a {
		if math.IsNaN(float64(a[i])) {
			return math.NaN()
		}
		m = math.Max(m, math.Abs(float64(a[i])-b[i]))
	}
	return m
}

// ulps is the distance of got from want in units of the last place of a float32
// of want's size, denormals counted in units of the smallest.
func ulps(got float32, want float64) float64 {
	w := float32(want)
	if math.IsNaN(want) || math.IsInf(float64(w), 0) {
		if math.Float32bits(w)&0x7FFFFFFF == math.Float32bits(got)&0x7FFFFFFF || math.IsNaN(want) && got != got {
			return 0
		}
		return math.Inf(1)
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

// sweep holds every 2^11th float32 of [lo, hi] on either side of zero.
func sweep(lo, hi float32) []float32 {
	var x []float32
	for b := uint32(1); b < 0x7F800000; b += 2039 {
		for _, v := range []float32{math.Float32frombits(b), -math.Float32frombits(b)} {
			if lo <= v && v <= hi {
				x = append(x, v)
			}
		}
	}
	return x
}

func worst(t *testing.T, name string, bound float64, x, got []float32, want func(float64) float64) {
	t.Helper()
	var top float64
	var at float32
	for i, v := range x {
		if u := ulps(got[i], want(float64(v))); !(u <= top) {
			top, at = u, v
		}
	}
	t.Logf("%s: at most %.2f ulp, at %g", name, top, at)
	if !(top <= bound) {
		t.Errorf("%s: %.2f ulp at %g, more than %g", name, top, at, bound)
	}
}

var inf32 = float32(math.Inf(1))

func TestExpUlps(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		x := append(sweep(-110, 92), inf32, -inf32, float32(math.NaN()), 0, 1e30, -1e30, 88.72, 88.73, -87.3, -103.9)
		got := make([]float32, len(x))
		Exp(got, x)
		worst(t, "exp", 2, x, got, math.Exp)
	})
}

func gelu64(x float64) float64 {
	if math.IsInf(x, -1) {
		return 0
	}
	return x * 0.5 * math.Erfc(-x/math.Sqrt2)
}

func TestGELUUlps(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		x := append(sweep(-12.9, 1e30), inf32, float32(math.NaN()), 0)
		got := make([]float32, len(x))
		GELU(got, x)
		worst(t, "gelu", 6, x, got, gelu64)
		x = append(sweep(-1e30, -12.9), -inf32)
		got = make([]float32, len(x))
		GELU(got, x)
		for i, v := range got {
			if !(math.Abs(float64(v)-gelu64(float64(x[i]))) < 1.2e-38) {
				t.Errorf("gelu(%g) = %g", x[i], v)
			}
		}
	})
}

func TestGELUGradError(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		x := append(sweep(-1e30, 1e30), inf32, -inf32)
		got, dy := make([]float32, len(x)), make([]float32, len(x))
		for i := range dy {
			dy[i] = 1
		}
		GELUGrad(got, x, dy)
		for i, v := range x {
			w := math.Max(-40, math.Min(40, float64(v)))
			cdf, pdf := phi(w)
			if d := math.Abs(float64(got[i]) - (cdf + w*pdf)); !(d < 3e-7) {
				t.Fatalf("geluGrad(%g) = %g, off by %g", v, got[i], d)
			}
		}
		x[0], dy[0], dy[1] = float32(math.NaN()), 1, -2
		x[1] = 0
		GELUGrad(got[:2], x[:2], dy[:2])
		if got[0] == got[0] || got[1] != -1 {
			t.Errorf("geluGrad(NaN), −2·geluGrad(0) = %v", got[:2])
		}
	})
}

// TestElementsDoNotDependOnPosition runs every elementwise kernel on all the
// lengths around the vector width and compares with whole vectors.
func TestElementsDoNotDependOnPosition(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewSource(4))
		x, y := randn(r, 80), randn(r, 80)
		for name, f := range map[string]func(dst, x, y []float32){
			"exp":   func(d, x, _ []float32) { Exp(d, x) },
			"gelu":  func(d, x, _ []float32) { GELU(d, x) },
			"grad":  GELUGrad,
			"add":   Add,
			"addto": func(d, x, y []float32) { copy(d, x); AddTo(d, y) },
			"axpy":  func(d, x, y []float32) { copy(d, y); Axpy(d, 1.7, x) },
			"scale": func(d, x, _ []float32) { copy(d, x); Scale(d, -0.3) },
		} {
			want := make([]float32, 80)
			f(want, x, y)
			for at := range 3 {
				for n := range 50 {
					got := make([]float32, n+1)
					got[n] = 42
					f(got[:n], x[at:], y[at:])
					for i := range n {
						if math.Float32bits(got[i]) != math.Float32bits(want[at+i]) {
							t.Fatalf("%s: element %d of %d: %g, elsewhere %g", name, i, n, got[i], want[at+i])
						}
					}
					if got[n] != 42 {
						t.Fatalf("%s: wrote beyond %d elements", name, n)
					}
				}
			}
		}
	})
}

func TestDot(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewSource(5))
		for n := range 200 {
			a, b := randn(r, n), randn(r, n)
			var dot, abs float64
			for i := range a {
				p := float64(a[i]) * float64(b[i])
				dot, abs = dot+p, abs+math.Abs(p)
			}
			// n/16+8 roundings of at most 2^-24 of the sum of magnitudes; portable: n/4.
			if d := math.Abs(float64(Dot(a, b)) - dot); !(d <= abs*float64(n/4+8)*math.Ldexp(1, -24)) {
				t.Errorf("dot of %d: off by %g", n, d)
			}
		}
	})
}

func TestElementwiseAllocatesNothing(t *testing.T) {
	x, y := make([]float32, 1000), make([]float32, 1000)
	if n := testkit.Allocations(t, 10, func() {
		Exp(y, x)
		GELU(y, x)
		GELUGrad(y, x, x)
		Axpy(y, Dot(x, y), x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkElementwise(b *testing.B) {
	const n = 4096
	x, y, d := randn(rand.New(rand.NewSource(1)), n), randn(rand.New(rand.NewSource(2)), n), make([]float32, n)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"exp", func() { Exp(d, x) }},
		{"gelu", func() { GELU(d, x) }},
		{"gelugrad", func() { GELUGrad(d, x, y) }},
		{"add", func() { Add(d, x, y) }},
		{"axpy", func() { Axpy(d, 1e-9, x) }},
		{"dot", func() { Dot(x, y) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
		})
	}
}
