package alloc

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/noise"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distmv"
)

// The analytic gradient of log N(a; μ, Σ) against central differences of
// gonum's density: h = 1e-5 leaves an error of some 1e-6 relative to the
// largest component.
func TestScoreAgainstDifferences(t *testing.T) {
	g := noise.Rand(4, noise.Test)
	const B = 9
	losses, features := make([]float64, B), make([]float64, 3*B)
	for i := range losses {
		losses[i] = g.Normal()
	}
	for i := range features {
		features[i] = g.Normal()
	}
	s, d := standardise(losses), distances(features, B, 3)
	w := [4]float64{0.8, 0.4, 0.3, 0.7}
	density := func(w [4]float64, a []float64) float64 {
		c := mat.NewSymDense(B, covariance(w, d, B))
		for i := range B {
			c.SetSym(i, i, c.At(i, i)+jitter(w))
		}
		n, ok := distmv.NewNormal(mean(w, s), c, nil)
		if !ok {
			t.Fatal("Σ is not positive definite")
		}
		return n.LogProb(a)
	}
	c := covariance(w, d, B)
	l, _ := cholesky(c, B, jitter(w))
	a := draw(mean(w, s), l, g)
	all := make([]lane, B)
	for i, v := range a {
		all[i][3] = v
	}
	scores := newScorer(w, s, d, c, l).scores(all)
	var got [4]float64
	for k := range got {
		got[k] = scores[k][3]
	}
	for k := range w {
		const h = 1e-5
		up, down := w, w
		if k < 2 {
			up[k], down[k] = w[k]+h, w[k]-h
		} else {
			up[k], down[k] = w[k]*math.Exp(h), w[k]*math.Exp(-h)
		}
		want := (density(up, a) - density(down, a)) / (2 * h)
		if math.Abs(got[k]-want) > 1e-5*max(1, math.Abs(want)) {
			t.Errorf("%s: %v, by differences %v", names[k], got[k], want)
		}
	}
}

// The scores have the mean and covariance that they should: within 5 standard
// errors of 20000 draws.
func TestScoresDistribution(t *testing.T) {
	const B, draws = 4, 20000
	w := [4]float64{1, 0.5, 0.4, 1.2}
	s := standardise([]float64{0.1, 0.5, 1, 3})
	d := distances(s, B, 1)
	mu, c := mean(w, s), covariance(w, d, B)
	l, j := cholesky(c, B, jitter(w))
	g := noise.Rand(8, noise.Test)
	var m [B]float64
	var cov [B * B]float64
	for range draws {
		a := draw(mu, l, g)
		for i := range B {
			m[i] += a[i] / draws
			for k := range B {
				cov[i*B+k] += (a[i] - mu[i]) * (a[k] - mu[k]) / draws
			}
		}
	}
	v := c[0] + j
	for i := range B {
		if math.Abs(m[i]-mu[i]) > 5*math.Sqrt(v/draws) {
			t.Errorf("mean %d: %v, want %v", i, m[i], mu[i])
		}
		for k := range B {
			want := c[i*B+k]
			if i == k {
				want = v
			}
			if math.Abs(cov[i*B+k]-want) > 5*v*math.Sqrt(2.0/draws) {
				t.Errorf("covariance %d %d: %v, want %v", i, k, cov[i*B+k], want)
			}
		}
	}
}

// On a synthetic task whose optimum is near 0.6, the allocator starts below
// equal shares, learns, and ends at most 0.8 (this seed: some 0.72).
func TestGaussianLearns(t *testing.T) {
	for features, by := range map[string]bool{"losses": false, "features": true} {
		o := usual()
		o.gaussian.ByFeatures = by
		a, w := build(t, "gaussian", o), newWorld(1)
		early := w.run(t, a, 0, 20)
		w.run(t, a, 20, 150)
		late := w.run(t, a, 150, 200)
		t.Logf("%s: optimum %.3f, early %.3f, late %.3f, w %.3v", features, w.optimum(), early, late,
			a.(Parameters).Params())
		if early > 0.95 || late > 0.8 || late > early-0.02 {
			t.Errorf("%s: ratio %.3f early and %.3f late", features, early, late)
		}
		for k, v := range a.(Parameters).Params() {
			if math.Abs(v-start[k]) < 1e-3*start[k] {
				t.Errorf("%s: %s did not move: %v", features, names[k], v)
			}
		}
	}
}

func TestFrozen(t *testing.T) {
	after := func(o options) []float64 {
		a, w := build(t, "gaussian", o), newWorld(2)
		w.run(t, a, 0, 10)
		return a.(Parameters).Params()
	}
	o := usual()
	o.gaussian.Fixed = true
	for k, v := range after(o) {
		if v != start[k] {
			t.Errorf("fixed, and %s went to %v", names[k], v)
		}
	}
	for f := range names {
		o := usual()
		o.gaussian.Freeze[f] = true
		for k, v := range after(o) {
			if (v == start[k]) != (k == f) {
				t.Errorf("freeze %s: %s is %v", names[f], names[k], v)
			}
		}
	}
}

// Whatever the rewards, the parameters stay where they mean something.
func TestParametersBounded(t *testing.T) {
	o := usual()
	o.gaussian.Rate = 10
	a, w := build(t, "gaussian", o), newWorld(2)
	w.run(t, a, 0, 60)
	if k := outside([4]float64(a.(Parameters).Params())); k >= 0 {
		t.Errorf("%s is %v", names[k], a.(Parameters).Params()[k])
	}
}
