package compare

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// pairedP is the two-sided probability of differences as large as these where their
// mean is 0, by Student's t; NaN of fewer than two.
func pairedP(d []float64) float64 {
	if len(d) < 2 {
		return math.NaN()
	}
	m, sd := stat.MeanStdDev(d, nil)
	switch {
	case math.IsNaN(m):
		return math.NaN()
	case sd == 0 && m == 0:
		return 1
	case sd == 0:
		return 0
	}
	n := float64(len(d))
	t := math.Abs(m) / (sd / math.Sqrt(n))
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Survival(t)
}

// holm corrects probabilities for there being several (Holm 1979, A simple
// sequentially rejective multiple test procedure): the k-th smallest of m becomes
// the largest of (m−j+1)·p over the j-th smallest up to it, at most 1. The chance
// that any of them is below 0.05 though nothing is different is then at most 0.05.
// NaN stays and is not counted.
func holm(p []float64) []float64 {
	out := slices.Clone(p)
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return 0
	})
	least := 0.0
	for j, i := range order {
		least = max(least, min(1, float64(len(order)-j)*p[i]))
		out[i] = least
	}
	return out
}

// correct applies holm to a probability of all arms.
func correct(arms []ArmResult, of func(*ArmResult) *float64) {
	p := make([]float64, len(arms))
	for i := range arms {
		p[i] = *of(&arms[i])
	}
	for i, v := range holm(p) {
		*of(&arms[i]) = v
	}
}

func median(v []float64) float64 {
	if len(v) == 0 || slices.ContainsFunc(v, math.IsNaN) {
		return math.NaN()
	}
	s := slices.Clone(v)
	slices.Sort(s)
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
