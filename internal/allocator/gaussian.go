package allocator

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/internal/noise"
	"github.com/flops-vit/flops/internal/uierr"
)

func init() { Register("gaussian", newGaussian) }

// gaussian is the paper's allocator (Ren et al., ICLR 2025, section 4): scores
// a ~ N(μ, Σ) over the batch with μ_i = w₀ + w₁ s_i, s the standardised clean
// losses, and Σ_ij = w₂² exp(−d_ij / 2w₃²) + jitter, d the squared distance of
// the images' features in units of the batch's median. Scores below 0 count as
// 0, scores become shares, shares become counts by largest remainder.
//
// The four parameters follow the likelihood-ratio gradient
// ∇_w log N(a; μ, Σ)·(R − b) of the proxy reward R = −Σ V̂_i/n_i relative to equal
// shares; w₂ and w₃ move in their logarithms and stay positive.
//
// The paper does not publish every constant. Ours: w = (1, 0.8, 0.1, 1), because
// shares proportional to the loss are known to gain while the noise of sampled
// scores only costs; the baseline b is an average of R with weight 0.9; each
// parameter's gradient is divided by the root of its Fisher information and
// multiplied by w₂, so that one rate suits all four; the advantage is in units
// of its running deviation and clipped to ±3; the first steps only measure it.
type gaussian struct {
	o    Options
	st   gaussianState
	last *sample
}

type gaussianState struct {
	W        [4]float64
	Mean, Sq float64 // running mean and mean square of R
	Seen     int
}

// sample is what the last allocation drew, until its reward is known.
type sample struct {
	s, d, a []float64
}

// Start is the starting value of the four parameters.
var Start = [4]float64{1, 0.8, 0.1, 1}

func newGaussian(o Options) (Allocator, error) {
	g := &gaussian{o: o, st: gaussianState{W: Start}}
	if len(o.W) == 4 {
		copy(g.st.W[:], o.W)
	}
	if g.st.W[2] <= 0 || g.st.W[3] <= 0 {
		return nil, uierr.New(fmt.Sprintf("allocator.w: w2 = %v and w3 = %v", g.st.W[2], g.st.W[3]), "the deviation w2 and the length scale w3 are above 0")
	}
	return g, nil
}

func (g *gaussian) Name() string { return "gaussian" }

func (g *gaussian) Needs() Need { return Need{Features: g.o.Features == "cls"} }

// Params are w0 to w3.
func (g *gaussian) Params() []float64 { return g.st.W[:] }

func (g *gaussian) Allocate(s Signals, budget int) ([]int, error) {
	B := len(s.Losses)
	d := &sample{s: standardise(s.Losses)}
	if g.o.Features == "cls" && s.Dim > 0 && len(s.Features) == B*s.Dim {
		f := make([]float64, len(s.Features))
		for i, v := range s.Features {
			f[i] = float64(v)
		}
		d.d = distances(f, B, s.Dim)
	} else {
		d.d = distances(d.s, B, 1)
	}
	mu := mean(g.st.W, d.s)
	l, _ := cholesky(covariance(g.st.W, d.d), B, jitter(g.st.W))
	d.a = draw(mu, l, noise.Rand(s.Seed, noise.Alloc, uint32(s.Step)))
	g.last = d
	return Round(d.a, budget, g.o.MinQueries, g.o.Even)
}

func mean(w [4]float64, s []float64) []float64 {
	mu := make([]float64, len(s))
	for i, v := range s {
		mu[i] = w[0] + w[1]*v
	}
	return mu
}

func covariance(w [4]float64, d []float64) []float64 {
	c := make([]float64, len(d))
	for i, v := range d {
		c[i] = w[2] * w[2] * math.Exp(-v/(2*w[3]*w[3]))
	}
	return c
}

// jitter keeps Σ positive definite: a hundredth of its variance.
func jitter(w [4]float64) float64 { return 0.01*w[2]*w[2] + 1e-12 }

// draw samples N(mu, L·Lᵀ).
func draw(mu, l []float64, r *noise.Generator) []float64 {
	n := len(mu)
	z, a := make([]float64, n), make([]float64, n)
	for i := range z {
		z[i] = r.Normal()
		a[i] = mu[i]
		for k := 0; k <= i; k++ {
			a[i] += l[i*n+k] * z[k]
		}
	}
	return a
}

// Observe turns the reward of the last allocation into a step of the parameters.
func (g *gaussian) Observe(f Feedback) {
	d := g.last
	g.last = nil
	if d == nil || !g.o.Learn || len(d.a) != len(f.Counts) {
		return
	}
	R := -PredictedRatio(f.Variance, f.Counts)
	st := &g.st
	st.Seen++
	if st.Seen == 1 {
		st.Mean, st.Sq = R, R*R
		return
	}
	dev := math.Sqrt(max(0, st.Sq-st.Mean*st.Mean))
	adv := R - st.Mean
	st.Mean, st.Sq = 0.9*st.Mean+0.1*R, 0.9*st.Sq+0.1*R*R
	if st.Seen <= 5 || dev == 0 {
		return
	}
	adv = max(-3, min(3, adv/dev))
	grad, fisher := score(st.W, d.s, d.d, d.a)
	for k := range grad {
		if slices.Contains(g.o.Freeze, fmt.Sprintf("w%d", k)) || !(fisher[k] > 0) {
			continue
		}
		step := g.o.LR * adv * st.W[2] * max(-3, min(3, grad[k]/math.Sqrt(fisher[k])))
		if k < 2 {
			st.W[k] += step
		} else { // in the logarithm, within a factor of 100 of the start
			st.W[k] = max(Start[k]/100, min(Start[k]*100, st.W[k]*math.Exp(step)))
		}
	}
}

// score is the gradient of log N(a; μ, Σ) by w₀, w₁, log w₂ and log w₃, and the
// Fisher information of each: with α = Σ⁻¹(a − μ),
//
//	∂w₀ = 1ᵀα, ∂w₁ = sᵀα, ∂θ = ½(αᵀ Σ_θ α − tr Σ⁻¹Σ_θ) for Σ_θ = ∂Σ/∂θ,
//	F(w₀) = 1ᵀΣ⁻¹1, F(w₁) = sᵀΣ⁻¹s, F(θ) = ½ tr(Σ⁻¹Σ_θ Σ⁻¹Σ_θ).
func score(w [4]float64, s, d, a []float64) (grad, fisher [4]float64) {
	n := len(s)
	c := covariance(w, d)
	l, _ := cholesky(c, n, jitter(w))
	inv := inverse(l, n)
	mu := mean(w, s)
	alpha := make([]float64, n)
	for i := range alpha {
		alpha[i] = a[i] - mu[i]
	}
	solve(l, n, alpha)
	// Σ_θ: by log w₂ twice Σ with its jitter, by log w₃ the kernel times d/w₃².
	by := [2][]float64{make([]float64, n*n), make([]float64, n*n)}
	for i := range c {
		by[0][i] = 2 * c[i]
		by[1][i] = c[i] * d[i] / (w[3] * w[3])
	}
	for i := range n {
		by[0][i*n+i] += 2 * 0.01 * w[2] * w[2]
		grad[0] += alpha[i]
		grad[1] += alpha[i] * s[i]
		for j := range n {
			fisher[0] += inv[i*n+j]
			fisher[1] += s[i] * inv[i*n+j] * s[j]
		}
	}
	for t, m := range by {
		p := multiply(inv, m, n)
		var quad, trace, square float64
		for i := range n {
			trace += p[i*n+i]
			for j := range n {
				quad += alpha[i] * m[i*n+j] * alpha[j]
				square += p[i*n+j] * p[j*n+i]
			}
		}
		grad[2+t], fisher[2+t] = (quad-trace)/2, square/2
	}
	return grad, fisher
}

func multiply(a, b []float64, n int) []float64 {
	c := make([]float64, n*n)
	for i := range n {
		for k := range n {
			v := a[i*n+k]
			for j := range n {
				c[i*n+j] += v * b[k*n+j]
			}
		}
	}
	return c
}

func (g *gaussian) State() ([]byte, error) { return json.Marshal(g.st) }

func (g *gaussian) Restore(b []byte) error {
	if err := json.Unmarshal(b, &g.st); err != nil {
		return fmt.Errorf("allocator gaussian: state: %w", err)
	}
	return nil
}
