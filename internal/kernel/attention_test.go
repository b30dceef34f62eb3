package kernel

import (
	"fmt"
	"math"
	"math/rand"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

// attention64 is Attention in float64.
func attention64(q, k, v []float32, ldq, ldk, ldv, rows, tokens, heads, hd int, scale float64) (out, probs []float64) {
	out, probs = make([]float64, rows*heads*hd), make([]float64, heads*rows*tokens)
	for h := range heads {
		for r := range rows {
			p := probs[(h*rows+r)*tokens : (h*rows+r+1)*tokens]
			top, sum := math.Inf(-1), 0.0
			for t := range p {
				for j := range hd {
					p[t] += float64(q[r*ldq+h*hd+j]) * float64(k[t*ldk+h*hd+j])
				}
				p[t] *= scale
				top = math.Max(top, p[t])
			}
			for t := range p {
				p[t] = math.Exp(p[t] - top)
				sum += p[t]
			}
			for t := range p {
				p[t] /= sum
				for j := range hd {
					out[r*heads*hd+h*hd+j] += p[t] * float64(v[t*ldv+h*hd+j])
				}
			}
		}
	}
	return out, probs
}

var attentionShapes = []struct{ rows, tokens, heads, hd int }{
	{65, 65, 4, 32}, {1, 65, 4, 32}, {197, 197, 2, 64}, {3, 17, 2, 12}, {7, 1, 1, 8}, {5, 9, 3, 5}, {2, 64, 1, 16},
	{13, 33, 2, 40},
}

func TestAttentionAgainstFloat64(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, c := range attentionShapes {
			t.Run(fmt.Sprint(c), func(t *testing.T) {
				r := rand.New(rand.NewSource(1))
				dim := c.heads * c.hd
				ldq, ldk, ldv, ldo := dim, dim+3, 3*dim, dim+1
				q, k, v := randn(r, c.rows*ldq), randn(r, c.tokens*ldk), randn(r, c.tokens*ldv)
				scale := float32(1 / math.Sqrt(float64(c.hd)))
				out, probs := make([]float32, c.rows*ldo), make([]float32, c.heads*c.rows*c.tokens)
				var s AttentionScratch
				Attention(out, ldo, q, ldq, c.rows, k, ldk, v, ldv, c.tokens, c.heads, c.hd, scale, nil, probs, &s)
				want, wantP := attention64(q, k, v, ldq, ldk, ldv, c.rows, c.tokens, c.heads, c.hd, float64(scale))
				got := make([]float32, c.rows*dim)
				for i := range c.rows {
					copy(got[i*dim:(i+1)*dim], out[i*ldo:])
				}
				// Scores reach 5 and carry ~hd roundings of 6e-8: 5e-6 covers exp's amplification.
				if d := maxDiff(got, want); !(d < 5e-6) {
					t.Errorf("out differs by %g", d)
				}
				if d := maxDiff(probs, wantP); !(d < 5e-6) {
					t.Errorf("probs differ by %g", d)
				}
				one := make([]float32, dim)
				for i := range c.rows {
					Attention(one, dim, q[i*ldq:], ldq, 1, k, ldk, v, ldv, c.tokens, c.heads, c.hd, scale, nil, nil, &s)
					for j := range one {
						if math.Float32bits(one[j]) != math.Float32bits(got[i*dim+j]) {
							t.Fatalf("row %d alone gives %g at %d, with the others %g", i, one[j], j, got[i*dim+j])
						}
					}
				}
			})
		}
	})
}

func TestAttentionGradAgainstDifferences(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, c := range attentionShapes {
			r := rand.New(rand.NewSource(2))
			dim := c.heads * c.hd
			q, k, v, dout := randn(r, c.rows*dim), randn(r, c.tokens*dim), randn(r, c.tokens*dim), randn(r, c.rows*dim)
			scale := float32(1 / math.Sqrt(float64(c.hd)))
			out, probs := make([]float32, c.rows*dim), make([]float32, c.heads*c.rows*c.tokens)
			var s AttentionScratch
			Attention(out, dim, q, dim, c.rows, k, dim, v, dim, c.tokens, c.heads, c.hd, scale, nil, probs, &s)
			dq, dk, dv := make([]float32, len(q)), make([]float32, len(k)), make([]float32, len(v))
			AttentionGrad(dq, dim, dk, dim, dv, dim, dout, dim, q, dim, c.rows, k, dim, v, dim, c.tokens, c.heads, c.hd, scale,
				probs, nil, &s)
			loss := func() float64 {
				o, _ := attention64(q, k, v, dim, dim, dim, c.rows, c.tokens, c.heads, c.hd, float64(scale))
				var l float64
				for i := range o {
					l += o[i] * float64(dout[i])
				}
				return l
			}
			// Central differences of the float64 attention with steps of 2^-9: error O(h²) and rounding both below 2e-4 of the
			// largest entry.
			for name, p := range map[string][2][]float32{"q": {q, dq}, "k": {k, dk}, "v": {v, dv}} {
				for range 4 {
					i := r.Intn(len(p[0]))
					keep := p[0][i]
					const h = 1.0 / 512
					p[0][i] = keep + h
					up, x1 := loss(), p[0][i]
					p[0][i] = keep - h
					down, x0 := loss(), p[0][i]
					p[0][i] = keep
					want := (up - down) / float64(x1-x0)
					if d := math.Abs(want - float64(p[1][i])); !(d < 3e-4*(1+math.Abs(want))) {
						t.Errorf("%v: d%s[%d] = %g, differences say %g", c, name, i, p[1][i], want)
					}
				}
			}
		}
	})
}

func TestAttentionAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	q := randn(r, 65*128)
	out, dq, dk, dv := make([]float32, 65*128), make([]float32, 65*128), make([]float32, 65*128), make([]float32, 65*128)
	probs := make([]float32, 4*65*65)
	var s AttentionScratch
	if n := testkit.Allocations(t, 5, func() {
		Attention(out, 128, q, 128, 65, q, 128, q, 128, 65, 4, 32, 0.17, nil, probs, &s)
		AttentionGrad(dq, 128, dk, 128, dv, 128, out, 128, q, 128, 65, q, 128, q, 128, 65, 4, 32, 0.17, probs, nil, &s)
	}); n != 0 {
		t.Errorf("%v allocations a call in the steady state", n)
	}
}

func BenchmarkAttention(b *testing.B) {
	for _, c := range []struct{ rows, tokens, heads, hd int }{{65, 65, 4, 32}, {1, 65, 4, 32}, {197, 197, 12, 64},
		{1, 197, 12, 64}} {
		b.Run(fmt.Sprintf("rows=%d/tokens=%d/heads=%d/dim=%d", c.rows, c.tokens, c.heads, c.hd), func(b *testing.B) {
			r := rand.New(rand.NewSource(1))
			dim := c.heads * c.hd
			q, k, v, out := randn(r, c.rows*dim), randn(r, c.tokens*dim), randn(r, c.tokens*dim), make([]float32, c.rows*dim)
			var s AttentionScratch
			b.ReportAllocs()
			for b.Loop() {
				Attention(out, dim, q, dim, c.rows, k, dim, v, dim, c.tokens, c.heads, c.hd, 0.2, nil, nil, &s)
			}
			flops := 4 * float64(c.rows*c.tokens*dim) * float64(b.N)
			b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "gflops")
		})
	}
}

func BenchmarkAttentionGrad(b *testing.B) {
	for _, c := range []struct{ rows, tokens, heads, hd int }{{65, 65, 4, 32}, {197, 197, 12, 64}} {
		b.Run(fmt.Sprintf("rows=%d/tokens=%d/heads=%d/dim=%d", c.rows, c.tokens, c.heads, c.hd), func(b *testing.B) {
			r := rand.New(rand.NewSource(1))
			dim := c.heads * c.hd
			q, k, v, out := randn(r, c.rows*dim), randn(r, c.tokens*dim), randn(r, c.tokens*dim), make([]float32, c.rows*dim)
			dq, dk, dv, dout := make([]float32, c.rows*dim), make([]float32, c.tokens*dim), make([]float32, c.tokens*dim),
				randn(r, c.rows*dim)
			probs := make([]float32, c.heads*c.rows*c.tokens)
			var s AttentionScratch
			Attention(out, dim, q, dim, c.rows, k, dim, v, dim, c.tokens, c.heads, c.hd, 0.2, nil, probs, &s)
			b.ReportAllocs()
			for b.Loop() {
				AttentionGrad(dq, dim, dk, dim, dv, dim, dout, dim, q, dim, c.rows, k, dim, v, dim, c.tokens, c.heads, c.hd, 0.2,
					probs, nil, &s)
			}
			flops := 8 * float64(c.rows*c.tokens*dim) * float64(b.N)
			b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "gflops")
		})
	}
}
