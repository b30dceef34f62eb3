package alloc

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/noise"
)

// Gaussian is the paper's allocator (Ren et al., ICLR 2025, section 4): scores
// a ~ N(μ, Σ) over the batch with μ_i = w₀ + w₁ s_i, s the standardised clean
// losses, and Σ_ij = w₂² exp(−d_ij / 2w₃²) + jitter, d the squared distance of
// the items' features in units of the batch's median. Scores below 0 count as
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
// costs; 128 draws; a gradient of at most 3 in each parameter; distances in
// units of their median, which makes w₃ a number without unit.
type Gaussian struct {
	o    GaussianOptions
	st   gaussianState
	last *sample
}

type gaussianState struct{ W [4]float64 }

// sample is what the last allocation drew from, until its reward is known.
type sample struct {
	seed uint64
	step int
	s, d []float64 // standardised losses (B) and squared distances (B×B)
	c, l []float64 // Σ without its jitter, and its Cholesky factor
}

const (
	virtual  = 128 // draws of the reward's expectation, a multiple of lanes
	steepest = 3.0 // largest gradient that is followed
)

// GaussianOptions of a Gaussian. The zero value learns from the losses alone.
type GaussianOptions struct {
	Limits
	ByFeatures bool      // correlate scores by Signals.Features instead of the losses
	Start      []float64 // w0..w3; none: 1, 0.3, 0.1, 1
	Freeze     [4]bool   // of w0..w3, those that are not learned
	Fixed      bool      // nothing is learned
	Rate       float64   // of learning; 0: 0.05
}

// start are the first values of the parameters, and usualRate that of learning.
var start = [4]float64{1, 0.3, 0.1, 1}

const usualRate = 0.05

// The parameters stay within these bounds: beyond them the floor alone or the
// noise alone decides the shares.
var lowW, highW = [4]float64{-100, -100, 1e-3, 1e-2}, [4]float64{100, 100, 10, 100}

// names of the parameters.
var names = [4]string{"w0", "w1", "w2", "w3"}

// NewGaussian makes one. An option out of range is an *OptionError.
func NewGaussian(o GaussianOptions) (*Gaussian, error) {
	g := &Gaussian{o: o, st: gaussianState{W: start}}
	if len(o.Start) != 0 && len(o.Start) != 4 {
		return nil, &OptionError{"Start", fmt.Sprintf("%d numbers", len(o.Start)), "give w0, w1, w2 and w3, or none"}
	}
	copy(g.st.W[:], o.Start)
	if k := outside(g.st.W); k >= 0 {
		return nil, &OptionError{"Start", fmt.Sprintf("%s is %v", names[k], g.st.W[k]),
			fmt.Sprintf("choose it from %v to %v", lowW[k], highW[k])}
	}
	if !(o.Rate >= 0) || math.IsInf(o.Rate, 1) {
		return nil, &OptionError{"Rate", fmt.Sprint(o.Rate), "use a rate such as 0.05"}
	}
	if o.Rate == 0 {
		g.o.Rate = usualRate
	}
	return g, nil
}

// outside is the first parameter that is out of bounds, -1 for none.
func outside(w [4]float64) int {
	for k, v := range w {
		if !(v >= lowW[k] && v <= highW[k]) {
			return k
		}
	}
	return -1
}

// Name implements Allocator.
func (g *Gaussian) Name() string { return "gaussian" }

// Needs implements Allocator.
func (g *Gaussian) Needs() Need { return Need{Features: g.o.ByFeatures} }

// Params are w0 to w3.
func (g *Gaussian) Params() []float64 { return slices.Clone(g.st.W[:]) }

// Allocate implements Allocator.
func (g *Gaussian) Allocate(s Signals, budget int) ([]int, error) {
	return rounded(g, s, budget, g.o.Limits)
}

// Shares implements Shared.
func (g *Gaussian) Shares(s Signals) ([]float64, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	B := len(s.Losses)
	d := &sample{seed: s.Seed, step: s.Step, s: standardise(finite(s.Losses))}
	switch {
	case !g.o.ByFeatures:
		d.d = distances(d.s, B, 1)
	case len(s.Features) == 0 && B > 0:
		return nil, &SignalError{Signal: "Features"}
	default:
		d.d = distances(finite(s.Features), B, s.Dim)
	}
	d.c = covariance(g.st.W, d.d, B)
	d.l, _ = cholesky(d.c, B, jitter(g.st.W))
	a := draw(mean(g.st.W, d.s), d.l, noise.Rand(s.Seed, noise.Alloc, uint32(s.Step)))
	g.last = d
	return a, nil
}

// Observe follows the gradient of the expected reward under the variances that
// the step showed.
func (g *Gaussian) Observe(f Feedback) {
	d := g.last
	if d == nil || g.o.Fixed || d.step != f.Step || len(d.s) != len(f.Counts) || len(f.Variance) != len(f.Counts) {
		return
	}
	g.last = nil
	for k, v := range g.gradient(d, f) {
		if g.o.Freeze[k] || math.IsNaN(v) {
			continue
		}
		step, w := g.o.Rate*max(-steepest, min(steepest, v)), g.st.W[k]
		if k < 2 {
			w += step
		} else {
			w *= math.Exp(step)
		}
		g.st.W[k] = max(lowW[k], min(highW[k], w))
	}
}

// gradient is the mean of ∇ log N(a)·(R(a) − R̄) over virtual draws.
func (g *Gaussian) gradient(d *sample, f Feedback) [4]float64 {
	n := len(d.s)
	z := newScorer(g.st.W, d.s, d.d, d.c, d.l)
	rng := noise.Rand(d.seed, noise.Alloc, uint32(d.step), 1)
	var rewards [virtual]float64
	var scores [virtual][4]float64
	var base float64
	a, normals, one := make([]lane, n), make([]lane, n), make([]float64, n)
	for lo := 0; lo < virtual; lo += lanes {
		drawLanes(a, normals, z.mu, z.l, rng)
		for k := range lanes {
			for i := range a {
				one[i] = a[i][k]
			}
			rewards[lo+k] = -proxy(one, f, g.o.Least)
			base += rewards[lo+k] / virtual
		}
		for j, v := range z.scores(a) {
			for k := range v {
				scores[lo+k][j] = v[k]
			}
		}
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
func proxy(a []float64, f Feedback, least int) float64 {
	var total float64
	for _, n := range f.Counts {
		total += float64(n)
	}
	if total < float64(max(1, least)*len(a)) {
		return drawnProxy(a, f)
	}
	return ratio(f.Variance, fill(clean(a), total, float64(max(1, least))))
}

// drawnProxy is the same of the chances that scores stand for, where items are drawn.
func drawnProxy(a []float64, f Feedback) float64 {
	if f.Chance == nil {
		return 1
	}
	drawn, v := 0.0, make([]float64, len(a))
	for i, n := range f.Counts {
		if n > 0 {
			drawn++
			v[i] = f.Variance[i] / float64(f.Chance[i]) // stands for the others
		}
	}
	return ratio(v, chances(clean(a), drawn, leastChance*drawn/float64(len(a))))
}

// State implements Allocator. It is JSON.
func (g *Gaussian) State() ([]byte, error) { return json.Marshal(g.st) }

// Restore implements Allocator.
func (g *Gaussian) Restore(b []byte) error {
	var st gaussianState
	if err := json.Unmarshal(b, &st); err != nil {
		return fmt.Errorf("alloc: gaussian: state: %w", err)
	}
	if k := outside(st.W); k >= 0 {
		return fmt.Errorf("alloc: gaussian: state: %s is %v", names[k], st.W[k])
	}
	g.st, g.last = st, nil
	return nil
}
