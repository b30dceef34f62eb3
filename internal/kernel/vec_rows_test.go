package kernel

import (
	"math"
	"math/rand"
	"strconv"
	"testing"
)

func TestSoftmax(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewSource(6))
		for _, n := range []int{1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 65, 197, 1000} {
			const rows = 3
			ld := (n+7)&^7 + 2
			x := randn(r, rows*ld)
			for i := range x {
				x[i] = 20*x[i] - 500
			}
			in := append([]float32(nil), x...)
			softmaxPadded(x, rows, n, ld)
			for k := range rows {
				top, sum := math.Inf(-1), 0.0
				for _, v := range in[k*ld : k*ld+n] {
					top = math.Max(top, float64(v))
				}
				for _, v := range in[k*ld : k*ld+n] {
					sum += math.Exp(float64(v) - top)
				}
				for i, v := range in[k*ld : k*ld+n] {
					want := math.Exp(float64(v)-top) / sum
					if d := math.Abs(float64(x[k*ld+i]) - want); !(d <= 1e-6*want+2e-38) {
						t.Errorf("n=%d: %g, want %g", n, x[k*ld+i], want)
					}
				}
				for i := ld - 2; i < ld; i++ {
					if x[k*ld+i] != in[k*ld+i] {
						t.Errorf("n=%d: wrote beyond the next multiple of 8", n)
					}
				}
				alone := append([]float32(nil), in[k*ld:(k+1)*ld]...)
				softmaxPadded(alone, 1, n, ld)
				for i, v := range alone[:n] {
					if v != x[k*ld+i] {
						t.Fatalf("n=%d: row %d alone differs", n, k)
					}
				}
			}
		}
	})
}

func TestSoftmaxSpecialValues(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		x := append(make([]float32, 0, 8), 0, -inf32, 0, -1e30)
		softmaxPadded(x, 1, 4, 8)
		if x[0] != 0.5 || x[1] != 0 || x[2] != 0.5 || x[3] != 0 {
			t.Errorf("softmax with -Inf = %v", x)
		}
		for _, bad := range [][]float32{{1, float32(math.NaN()), 2}, {inf32, 0, 0}, {-inf32, -inf32, -inf32}} {
			bad = append(make([]float32, 0, 8), bad...)
			softmaxPadded(bad, 1, 3, 8)
			if bad[0] == bad[0] {
				t.Errorf("softmax keeps %v finite", bad)
			}
		}
	})
}

func TestLayerNormRows(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewSource(7))
		for _, d := range []int{1, 5, 16, 24, 33, 128, 768} {
			const rows = 4
			ldx, ldd := d+1, d+3
			x, gamma, beta := randn(r, rows*ldx), randn(r, d), randn(r, d)
			for i := range x {
				x[i] += 3
			}
			dst, mean, rstd := make([]float32, rows*ldd), make([]float32, rows), make([]float32, rows)
			LayerNormRows(dst, ldd, x, ldx, rows, d, gamma, beta, 1e-6, mean, rstd)
			for k := range rows {
				var mu, v float64
				for _, e := range x[k*ldx : k*ldx+d] {
					mu += float64(e) / float64(d)
				}
				for _, e := range x[k*ldx : k*ldx+d] {
					v += (float64(e) - mu) * (float64(e) - mu) / float64(d)
				}
				inv := 1 / math.Sqrt(v+1e-6)
				// The mean carries d/16+8 roundings of 3·2^-24, amplified by 1/σ ≈ 1.
				tol := 1e-6 + 1e-8*float64(d)
				if d == 1 {
					tol = 2e-3 // 1/σ = 1000
				}
				for i := range d {
					want := (float64(x[k*ldx+i])-mu)*inv*float64(gamma[i]) + float64(beta[i])
					if diff := math.Abs(float64(dst[k*ldd+i]) - want); !(diff <= tol*(1+math.Abs(want))) {
						t.Fatalf("d=%d: %g, want %g", d, dst[k*ldd+i], want)
					}
				}
				if math.Abs(float64(mean[k])-mu) > 1e-6*4 || math.Abs(float64(rstd[k])-inv) > 1e-5*inv {
					t.Errorf("d=%d: mean %g rstd %g, want %g %g", d, mean[k], rstd[k], mu, inv)
				}
				one := make([]float32, d)
				LayerNormRows(one, d, x[k*ldx:], ldx, 1, d, gamma, beta, 1e-6, nil, nil)
				for i, v := range one {
					if v != dst[k*ldd+i] {
						t.Fatalf("d=%d: row %d alone differs", d, k)
					}
				}
			}
		}
	})
}

func TestLayerNormGradAgainstDifferences(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewSource(8))
		for _, d := range []int{5, 16, 40, 128} {
			const rows = 3
			x, dy, gamma, beta := randn(r, rows*d), randn(r, rows*d), randn(r, d), randn(r, d)
			dst, mean, rstd := make([]float32, rows*d), make([]float32, rows), make([]float32, rows)
			LayerNormRows(dst, d, x, d, rows, d, gamma, beta, 1e-6, mean, rstd)
			dx, dgamma, dbeta := make([]float32, rows*d), make([]float32, d), make([]float32, d)
			dgamma[0], dbeta[0] = 1, 2
			LayerNormGradRows(dx, dy, x, rows, d, gamma, mean, rstd, dgamma, dbeta)
			dgamma[0], dbeta[0] = dgamma[0]-1, dbeta[0]-2
			only := make([]float32, rows*d)
			LayerNormGradRows(only, dy, x, rows, d, gamma, mean, rstd, nil, nil)
			for i := range only {
				if only[i] != dx[i] {
					t.Fatalf("d=%d: dx depends on whether dgamma is asked for", d)
				}
			}
			loss := func() (l float64) {
				for k := range rows {
					var mu, v float64
					for _, e := range x[k*d : k*d+d] {
						mu += float64(e) / float64(d)
					}
					for _, e := range x[k*d : k*d+d] {
						v += (float64(e) - mu) * (float64(e) - mu) / float64(d)
					}
					for i := range d {
						l += float64(dy[k*d+i]) * ((float64(x[k*d+i])-mu)/math.Sqrt(v+1e-6)*float64(gamma[i]) + float64(beta[i]))
					}
				}
				return l
			}
			// Central differences in float64, step 2^-10: O(h²) and rounding below 1e-4.
			for name, p := range map[string][2][]float32{"x": {x, dx}, "gamma": {gamma, dgamma}, "beta": {beta, dbeta}} {
				for i := range min(5, len(p[0])) {
					keep := p[0][i]
					p[0][i] = keep + 1.0/1024
					up, hi := loss(), p[0][i]
					p[0][i] = keep - 1.0/1024
					down, lo := loss(), p[0][i]
					p[0][i] = keep
					want := (up - down) / float64(hi-lo)
					if diff := math.Abs(want - float64(p[1][i])); !(diff < 1e-4*(1+math.Abs(want))) {
						t.Errorf("d=%d: d%s[%d] = %g, differences say %g", d, name, i, p[1][i], want)
					}
				}
			}
		}
	})
}

func BenchmarkRows(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	for _, c := range []struct {
		name string
		d    int
		f    func(x, y, g, s []float32, d int)
	}{
		{"softmax", 65, func(x, y, g, s []float32, d int) { softmaxPadded(x, 32, d, d+7) }},
		{"layernorm", 128, func(x, y, g, s []float32, d int) { LayerNormRows(y, d, x, d, 64, d, g, g, 1e-6, nil, nil) }},
		{"layernorm", 768, func(x, y, g, s []float32, d int) { LayerNormRows(y, d, x, d, 64, d, g, g, 1e-6, nil, nil) }},
		{"layernormgrad", 128, func(x, y, g, s []float32, d int) { LayerNormGradRows(y, x, x, 64, d, g, s, s, g, g) }},
	} {
		b.Run(c.name+"/"+strconv.Itoa(c.d), func(b *testing.B) {
			x, y, g, s := randn(r, 64*c.d), make([]float32, 64*c.d), randn(r, c.d), randn(r, 64)
			b.ReportAllocs()
			for b.Loop() {
				c.f(x, y, g, s, c.d)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(64*c.d), "ns/element")
		})
	}
}
