package noise

import (
	"math"
	"slices"
	"testing"
)

// TestGaussianMoments: over n draws the k-th sample moment has standard error
// √(Var z^k / n); five of them are allowed, one failure in 10^6 if the seed were
// not fixed.
func TestGaussianMoments(t *testing.T) {
	const n = 1 << 20
	e := make([]float32, n)
	newSource("gaussian", "none", 42).Fill(e, Counter{Step: 1, Site: 2, Image: 3, Pair: 4}, 0)
	var m [5]float64
	for _, v := range e {
		p := 1.0
		for k := range m {
			m[k] += p / n
			p *= float64(v)
		}
	}
	// E z^k and Var z^k = E z^2k − (E z^k)² of the normal.
	for k, c := range [][2]float64{{1, 0}, {0, 1}, {1, 2}, {0, 15}, {3, 96}} {
		if d := math.Abs(m[k] - c[0]); d > 5*math.Sqrt(c[1]/n)+1e-9 {
			t.Errorf("moment %d is %g, want %g", k, m[k], c[0])
		}
	}
}

// TestGaussianDistribution is the Kolmogorov–Smirnov test: √n·D exceeds 1.95
// once in 1000 samples; the seed is fixed.
func TestGaussianDistribution(t *testing.T) {
	for _, k := range [][2]string{{"gaussian", "none"}, {"gaussian", "sobol"}, {"gaussian", "halton"}} {
		n := 1 << 18
		s := newSource(k[0], k[1], 7)
		e := make([]float32, n)
		if d := MaxDim(s); d > 0 { // many short directions
			const width = 512
			for i := range n / width {
				s.Fill(e[i*width:(i+1)*width], Counter{Image: uint32(i / 32), Pair: uint32(i % 32)}, 0)
			}
		} else {
			s.Fill(e, Counter{}, 0)
		}
		slices.Sort(e)
		var d float64
		for i, v := range e {
			cdf := 0.5 * math.Erfc(-float64(v)/math.Sqrt2)
			d = max(d, math.Abs(cdf-float64(i)/float64(n)), math.Abs(cdf-float64(i+1)/float64(n)))
		}
		if x := d * math.Sqrt(float64(n)); x > 1.95 {
			t.Errorf("%s: √n·D = %.3f", s.Name(), x)
		}
	}
}

// TestCountersAreIndependent correlates neighbouring counters and the halves of
// each Box–Muller pair; the correlation of n independent normals has standard
// error 1/√n, and five are allowed.
func TestCountersAreIndependent(t *testing.T) {
	const n = 1 << 16
	base := Counter{Step: 5, Site: 6, Image: 7, Pair: 8}
	for _, kind := range []string{"gaussian", "rademacher"} {
		s := newSource(kind, "none", 11)
		a, b := make([]float32, n), make([]float32, n)
		s.Fill(a, base, 0)
		corr := func() (r float64) {
			for i := range a {
				r += float64(a[i]) * float64(b[i]) / n
			}
			return r
		}
		limit := 5 / math.Sqrt(n)
		for name, c := range map[string]Counter{"step": {6, 6, 7, 8}, "site": {5, 7, 7, 8}, "image": {5, 6, 8, 8},
			"pair": {5, 6, 7, 9}} {
			s.Fill(b, c, 0)
			if r := corr(); math.Abs(r) > limit {
				t.Errorf("%s: correlation %g with the next %s", kind, r, name)
			}
		}
		newSource(kind, "none", 12).Fill(b, base, 0)
		if r := corr(); math.Abs(r) > limit {
			t.Errorf("%s: correlation %g with the next seed", kind, r)
		}
		for _, lag := range []int{1, 8, 16, 32} {
			s.Fill(b, base, lag)
			if r := corr(); math.Abs(r) > limit {
				t.Errorf("%s: correlation %g at lag %d", kind, r, lag)
			}
		}
	}
}

// TestRadiusRange walks the ends of the uniforms: no infinity, no NaN, and the
// tail the package comment states.
func TestRadiusRange(t *testing.T) {
	for _, a := range []uint32{0, 1, 511, 512, 1 << 31, 0xffffffff} {
		for _, b := range []uint32{0, 1<<29 - 1, 1 << 29, 1 << 30, 1 << 31, 3 << 30, 0xffffffff} {
			x, y := boxMuller(a, b)
			u := (float64(a>>9) + 0.5) / (1 << 23)
			if r := math.Hypot(float64(x), float64(y)); math.Abs(r-math.Sqrt(-2*math.Log(u))) > 1e-6*r || r > 5.769 {
				t.Errorf("boxMuller(%#x, %#x) has radius %g", a, b, r)
			}
		}
	}
}

// TestBoxMullerError sweeps both words against float64.
func TestBoxMullerError(t *testing.T) {
	var top float64
	for i := range uint32(1 << 18) {
		a, b := i*16411, i*40503*65537
		x, y := boxMuller(a, b)
		theta := math.Pi/2*float64((b+1<<29)>>30) + 2*math.Pi*(float64(int32(b<<2)>>11)+0.5)/(1<<23)
		rho := math.Sqrt(-2 * math.Log((float64(a>>9)+0.5)/(1<<23)))
		for _, p := range [][2]float64{{float64(x), rho * math.Cos(theta)}, {float64(y), rho * math.Sin(theta)}} {
			_, e := math.Frexp(p[1])
			// float64's own sine loses digits beside its zeros; 1e-15 covers them.
			top = max(top, (math.Abs(p[0]-p[1])-1e-15*rho)/math.Ldexp(1, e-24))
		}
	}
	t.Logf("at most %.2f ulp", top)
	if !(top <= 4) {
		t.Errorf("%.2f ulp", top)
	}
}

func TestNormalQuantile(t *testing.T) {
	for _, p := range []float64{1e-15, 1e-12, 1.4e-11, 3e-10, 1e-9, 1e-5, 0.01, 0.03, 0.05, 0.06, 0.0749, 0.0751,
		0.3, 0.5, 0.7, 0.9251, 0.99, 1 - 1e-9} {
		x := normalQuantile(p)
		tol := 1e-13 * p
		if p > 0.9 { // near 1 the input itself is only known to 1e-16
			tol += 2e-16
		}
		if back := 0.5 * math.Erfc(-x/math.Sqrt2); math.Abs(back-p) > tol {
			t.Errorf("Φ(quantile(%g)) = %g", p, back)
		}
	}
}

// TestSequencesAreBalanced: of the first 2^m points of a scrambled (t, s)-net
// every dimension alone is a (0, m, 1)-net: one point in each interval of length
// 2^-m. For Halton's dimension with base b the same holds of b^m points.
func TestSequencesAreBalanced(t *testing.T) {
	seeds := seeder{c: [4]uint32{0, 1, 2, 3}, key: 99, block: -1}
	for _, dim := range []int{0, 1, 2, 77, 1000, 21200} {
		const n = 1 << 8
		var seen [n]bool
		for i := range uint32(n) {
			var u [1]float64
			sobolUniforms(u[:], i, dim, &seeds)
			seen[int(u[0]*n)] = true
		}
		if slices.Contains(seen[:], false) {
			t.Errorf("Sobol dimension %d misses an interval", dim)
		}
	}
	for _, dim := range []int{0, 1, 5, 30, 1000, 4095} {
		b := int(primes()[dim])
		n := b
		if b < 20 {
			n = b * b
		}
		seen := make([]bool, n)
		for i := range n {
			var u [1]float64
			haltonUniforms(u[:], uint32(i), dim, &seeds)
			seen[int(u[0]*float64(n))] = true
		}
		if slices.Contains(seen, false) {
			t.Errorf("Halton dimension %d misses an interval", dim)
		}
	}
	if p := primes(); len(p) != haltonDims || p[haltonDims-1] != 38873 {
		t.Errorf("%d primes ending in %d", len(p), p[len(p)-1])
	}
}

// TestSobolTable holds the unpacked table to direction numbers computed apart
// from new-joe-kuo-6.21201 by the recurrence m_i = 2a_1·m_{i−1} ⊕ … ⊕ 2^s·m_{i−s}
// ⊕ m_{i−s}; number i stands at bit 31−i.
func TestSobolTable(t *testing.T) {
	table := sobolTable()
	for dim, want := range map[int][sobolBits]uint32{
		2: {1, 3, 3, 9, 29, 23, 71, 197, 209, 627, 1907, 1369, 4109, 12327, 12407, 36949, 119041, 94979,
			291587, 809225},
		3: {1, 3, 1, 5, 31, 29, 81, 147, 433, 149, 719, 3693, 3841, 11523, 16641, 49925, 16671, 83229, 515921,
			482707},
		9: {1, 1, 7, 11, 19, 37, 69, 91, 103, 871, 913, 1009, 6199, 10683, 10691, 10741, 5237, 27819, 433303,
			434167},
		20000: {1, 3, 1, 11, 23, 27, 119, 59, 421, 343, 831, 2679, 5899, 12087, 15953, 18601, 109551, 33895,
			226435, 600105},
		21200: {1, 1, 7, 11, 15, 7, 37, 239, 337, 245, 1557, 3681, 7357, 9639, 27367, 26869, 114603, 86317, 224527,
			180227},
	} {
		for i, m := range want {
			if got := table[i][dim] >> (31 - i); got != m || table[i][dim]<<(i+1) != 0 {
				t.Errorf("dimension %d: m_%d = %d, want %d", dim, i+1, got, m)
			}
		}
	}
}

// TestSequencesIntegrate: the mean of Σ cos(z_j) over 256 pairs has a far
// smaller error with a net than with independent draws; half is asked for.
func TestSequencesIntegrate(t *testing.T) {
	rms := func(qmc string) float64 {
		s := newSource("gaussian", qmc, 5)
		const dim, pairs, images = 8, 256, 40
		var sq float64
		e := make([]float32, dim)
		for img := range uint32(images) {
			var mean float64
			for p := range uint32(pairs) {
				s.Fill(e, Counter{Image: img, Pair: p}, 0)
				for _, v := range e {
					mean += math.Cos(float64(v)) / (dim * pairs)
				}
			}
			mean -= math.Exp(-0.5)
			sq += mean * mean / images
		}
		return math.Sqrt(sq)
	}
	plain := rms("none")
	for _, q := range []string{"sobol", "halton"} {
		if r := rms(q); r > plain/2 {
			t.Errorf("%s: rms error %g, independent draws %g", q, r, plain)
		}
	}
}
