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
// E[∇_w log N(a; μ, Σ)·(R(a) − b)] of the proxy reward R = −Σ V̂_i/n_i relative to
// equal shares; w₂ and w₃ move in their logarithms and stay positive. Once a
// step has shown its V̂_i, the reward of any other scores is known too, at no
// query: so the expectation is taken over many draws of the step's own
// distribution instead of the one that was spent, with their mean reward as the
// baseline b. One draw per step would need thousands of steps.
//
// The paper does not publish every constant. Ours: w = (1, 0.3, 0.1, 1), because
// early in a run all variances are alike and shares that follow the loss
// closely cost, while late they gain, and the noise of sampled scores only ever
// costs; 128 draws; a gradient of at most 3 in each parameter.
type gaussian struct {
	o    Options
	st   gaussianState
	last *sample
}

type gaussianState struct{ W [4]float64 }

// sample is what the last allocation drew, until its reward is known.
type sample struct {
	seed    uint64
	step    int
	s, d, a []float64
}

const (
	virtual  = 128 // draws of the reward's expectation
	steepest = 3.0 // largest gradient that is followed
)

// Start is the starting value of the four parameters.
var Start = [4]float64{1, 0.3, 0.1, 1}

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
	d := &sample{seed: s.Seed, step: s.Step, s: standardise(s.Losses)}
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

// nugget is the share of Σ's variance that is added to its diagonal.
const nugget = 0.01

// jitter keeps Σ positive definite.
func jitter(w [4]float64) float64 { return nugget*w[2]*w[2] + 1e-12 }

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

// Observe follows the gradient of the expected reward under the variances that
// the step showed.
func (g *gaussian) Observe(f Feedback) {
	d := g.last
	g.last = nil
	if d == nil || !g.o.Learn || len(d.a) != len(f.Counts) || len(f.Variance) != len(f.Counts) {
		return
	}
	grad := g.gradient(d, f)
	for k, v := range grad {
		if slices.Contains(g.o.Freeze, fmt.Sprintf("w%d", k)) || math.IsNaN(v) {
			continue
		}
		step := g.o.LR * max(-steepest, min(steepest, v))
		if k < 2 {
			g.st.W[k] += step
		} else { // in the logarithm, within a factor of 100 of the usual start
			g.st.W[k] = max(Start[k]/100, min(Start[k]*100, g.st.W[k]*math.Exp(step)))
		}
	}
}

// gradient is the mean of ∇ log N(a)·(R(a) − R̄) over virtual draws.
func (g *gaussian) gradient(d *sample, f Feedback) [4]float64 {
	n := len(d.s)
	mu := mean(g.st.W, d.s)
	l, _ := cholesky(covariance(g.st.W, d.d), n, jitter(g.st.W))
	z := newScorer(g.st.W, d.s, d.d, l)
	rng := noise.Rand(d.seed, noise.Alloc, uint32(d.step), 1)
	var rewards [virtual]float64
	var scores [virtual][4]float64
	var base float64
	for k := range virtual {
		a := draw(mu, l, rng)
		rewards[k] = -proxy(a, f, g.o.MinQueries)
		scores[k] = z.score(a)
		base += rewards[k] / virtual
	}
	var out [4]float64
	for k, r := range rewards {
		for j, v := range scores[k] {
			out[j] += v * (r - base) / (virtual - 1)
		}
	}
	return out
}

// proxy is Σ V̂_i/n_i against equal shares for the counts that scores stand for,
// before they are rounded.
func proxy(a []float64, f Feedback, lowest int) float64 {
	var total, floor float64
	for _, n := range f.Counts {
		total += float64(n)
	}
	floor = float64(lowest) * float64(len(a))
	w := clean(a)
	var got, equal float64
	for i, v := range f.Variance {
		if !(v > 0) || math.IsInf(v, 1) {
			continue
		}
		n := max(float64(lowest), w[i]*total)
		got += v / n
		equal += v / (total / float64(len(a)))
	}
	if equal == 0 || floor > total {
		return 1
	}
	return got / equal
}

// scorer computes the gradient of log N(a; μ, Σ) by w₀, w₁, log w₂ and log w₃:
// with α = Σ⁻¹(a − μ) and Σ_θ = ∂Σ/∂θ,
//
//	∂w₀ = 1ᵀα, ∂w₁ = sᵀα, ∂θ = ½(αᵀ Σ_θ α − tr Σ⁻¹Σ_θ).
type scorer struct {
	s, mu, l []float64
	by       [2][]float64 // Σ_θ for log w₂ and log w₃
	trace    [2]float64   // of Σ⁻¹Σ_θ
}

func newScorer(w [4]float64, s, d, l []float64) *scorer {
	n := len(s)
	z := &scorer{s: s, mu: mean(w, s), l: l, by: [2][]float64{make([]float64, n*n), make([]float64, n*n)}}
	for i, c := range covariance(w, d) {
		z.by[0][i] = 2 * c
		z.by[1][i] = c * d[i] / (w[3] * w[3])
	}
	for i := range n {
		z.by[0][i*n+i] += 2 * nugget * w[2] * w[2]
	}
	inv := inverse(l, n)
	for t, m := range z.by {
		for i := range n {
			for j := range n {
				z.trace[t] += inv[i*n+j] * m[j*n+i]
			}
		}
	}
	return z
}

func (z *scorer) score(a []float64) (grad [4]float64) {
	n := len(z.s)
	alpha := make([]float64, n)
	for i := range alpha {
		alpha[i] = a[i] - z.mu[i]
	}
	solve(z.l, n, alpha)
	for i, v := range alpha {
		grad[0] += v
		grad[1] += v * z.s[i]
	}
	for t, m := range z.by {
		var quad float64
		for i := range n {
			for j := range n {
				quad += alpha[i] * m[i*n+j] * alpha[j]
			}
		}
		grad[2+t] = (quad - z.trace[t]) / 2
	}
	return grad
}

func (g *gaussian) State() ([]byte, error) { return json.Marshal(g.st) }

func (g *gaussian) Restore(b []byte) error {
	if err := json.Unmarshal(b, &g.st); err != nil {
		return fmt.Errorf("allocator gaussian: state: %w", err)
	}
	return nil
}
