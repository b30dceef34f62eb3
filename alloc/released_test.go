package alloc

import (
	"math"
	"slices"
	"testing"
)

// TestReleasedScores: the covariance is the RBF kernel of the losses, numbers by
// hand; the mean is a matrix of independent entries within ±1/√B times the losses.
// With losses of 1 it has mean 0 and variance B·(1/B)/3 = ⅓ over the seeds: within
// 4.5 standard errors of 4000 of them, and of the fourth moment of a sum of four
// uniforms, which is below 3·(⅓)².
func TestReleasedScores(t *testing.T) {
	_, k := scoresOf([]float64{0, 1, 3}, 5)
	e := math.Exp
	for i, want := range []float64{1, e(-0.5), e(-4.5), e(-0.5), 1, e(-2), e(-4.5), e(-2), 1} {
		if math.Abs(k[i]-want) > 1e-15 {
			t.Errorf("covariance %d: %v, want %v", i, k[i], want)
		}
	}
	const seeds, B = 4000, 4
	var sum, sq float64
	for seed := range uint64(seeds) {
		mu, _ := scoresOf([]float64{1, 1, 1, 1}, seed)
		for _, v := range mu {
			if math.Abs(v) > 2 { // four entries of at most ½
				t.Fatalf("a mean of %v", v)
			}
		}
		sum, sq = sum+mu[2], sq+mu[2]*mu[2]
	}
	const variance = 1.0 / 3
	if z := sum / seeds / math.Sqrt(variance/seeds); math.Abs(z) > 4.5 {
		t.Errorf("mean %v, %.1f standard errors from 0", sum/seeds, z)
	}
	if z := (sq/seeds - variance) / (variance * math.Sqrt(2.0/seeds)); math.Abs(z) > 4.5 {
		t.Errorf("variance %v, %.1f standard errors from ⅓", sq/seeds, z)
	}
	// linear in the losses, the matrix being the seed's alone
	one, _ := scoresOf([]float64{1, 0, 2}, 9)
	ten, _ := scoresOf([]float64{10, 0, 20}, 9)
	for i := range one {
		if math.Abs(ten[i]-10*one[i]) > 1e-12 {
			t.Errorf("mean %d: %v of losses, %v of ten times as much", i, one[i], ten[i])
		}
	}
	other, _ := scoresOf([]float64{1, 0, 2}, 10)
	if slices.Equal(one, other) {
		t.Error("two seeds have one matrix")
	}
}
