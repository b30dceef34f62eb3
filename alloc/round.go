package alloc

import (
	"cmp"
	"math"
	"slices"
)

// Round turns shares into counts whose sum is the budget exactly. The ideal
// counts are max(least, λ·share_i), with the λ that makes their sum the budget:
// for shares √V_i that is the minimum of Σ V_i/n_i under a least count. They
// become whole queries (pairs, where even) by the method of the largest
// remainder (Hamilton); of equal remainders the lower index wins.
//
// A share that is negative or NaN counts as 0; where some are +Inf, those share
// equally and the others count as 0; where none is left, all are equal. An
// empty batch, a budget below the least counts and an odd budget where counts are
// even are a *BudgetError.
func Round(shares []float64, budget int, l Limits) ([]int, error) {
	unit, least := l.unit()
	if B := len(shares); B == 0 || budget/B < least || budget%unit != 0 {
		return nil, &BudgetError{Items: B, Budget: budget, Least: least, Even: l.Even}
	}
	ideal := fill(clean(shares), float64(budget), float64(least))
	return remainders(ideal, budget, least, unit), nil
}

// rounded are the counts of an allocator's shares.
func rounded(a Shared, s Signals, budget int, l Limits) ([]int, error) {
	shares, err := a.Shares(s)
	if err != nil {
		return nil, err
	}
	return Round(shares, budget, l)
}

// clean turns shares into a distribution, as Round says.
func clean(shares []float64) []float64 {
	w := make([]float64, len(shares))
	top := 0.0
	for _, v := range shares {
		if v > top { // not for NaN
			top = v
		}
	}
	var sum float64
	for i, v := range shares {
		switch {
		case top == 0, v == top: // also where both are infinite
			w[i] = 1
		case v > 0:
			w[i] = v / top // in [0, 1], so that a sum of huge shares stays finite
		}
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}

// fill solves Σ max(least, λ·share_i) = budget: items whose share is too small
// for the least count leave the sum, smallest first.
func fill(share []float64, budget, least float64) []float64 {
	order := ranked(share, false)
	sum := make([]float64, len(share)+1) // of the shares from order[k] on
	for k := len(share) - 1; k >= 0; k-- {
		sum[k] = sum[k+1] + share[order[k]]
	}
	out := make([]float64, len(share))
	left, k := budget, 0
	for ; k < len(order)-1 && left*share[order[k]] < least*sum[k]; k++ {
		out[order[k]] = least
		left -= least
	}
	for j := k; j < len(order); j++ {
		out[order[j]] = max(least, left/sum[k]*share[order[j]])
	}
	return out
}

// remainders rounds ideal counts to multiples of unit that sum to the budget.
func remainders(ideal []float64, budget, least, unit int) []int {
	counts, rest := make([]int, len(ideal)), make([]float64, len(ideal))
	left := budget
	for i, v := range ideal {
		whole := math.Floor(v / float64(unit))
		counts[i], rest[i] = max(least, int(whole)*unit), v/float64(unit)-whole
		left -= counts[i]
	}
	order := ranked(rest, true)
	for k := 0; left > 0; k = (k + 1) % len(order) {
		counts[order[k]] += unit
		left -= unit
	}
	for k := len(order) - 1; left < 0; k = (k + len(order) - 1) % len(order) { // rounding errors of the ideal counts
		if counts[order[k]] > least {
			counts[order[k]] -= unit
			left += unit
		}
	}
	return counts
}

// ranked is the order of v, ascending or descending; ties keep the lower index first.
func ranked(v []float64, descending bool) []int {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		c := cmp.Compare(v[a], v[b])
		if descending {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a, b))
	})
	return order
}

// Ratio is Σ V_i/n_i over the same at equal shares of the same total: below 1 is
// a gain, 1 − Ratio the part of the variance that is saved. Items without a count
// or whose variance is no positive finite number are left out;
// with none left it is 1.
func Ratio(variance []float64, counts []int) float64 {
	n := make([]float64, len(counts))
	for i, c := range counts {
		n[i] = float64(c)
	}
	return ratio(variance, n)
}

// ratio is Ratio for counts that need not be whole.
func ratio(variance, n []float64) float64 {
	var total, top float64
	for i, c := range n {
		total += c
		if i < len(variance) && variance[i] > top && !math.IsInf(variance[i], 1) {
			top = variance[i]
		}
	}
	mean := total / float64(max(1, len(n)))
	var got, equal float64
	for i, v := range variance {
		if i < len(n) && v > 0 && v <= top && n[i] > 0 {
			v /= top // so that a sum of huge variances stays finite
			got += v / n[i]
			equal += v / mean
		}
	}
	if equal == 0 {
		return 1
	}
	return got / equal
}
