package alloc

import "math"

// leastChance is a good least of Draw.
const leastChance = 0.25

// Share is what each item of a batch gets of some queries.
type Share struct {
	Counts []int // queries of each item; 0 of one that was not drawn
	// Chance is that with which each item was drawn to have its queries; nil where
	// every item has some.
	Chance []float32
}

// chance is π_i.
func (s Share) chance(i int) float64 {
	if s.Chance == nil {
		return 1
	}
	return float64(s.Chance[i])
}

// Draw shares out a budget below one unit (a query, or a pair where counts are even)
// for every item: some are drawn and have one unit each, whose contribution is then
// weighed with 1/Chance. The chances follow the shares,
//
//	π_i = min(1, max(floor, λ·share_i)),  Σ π_i = budget in units,  floor = least·budget/B
//
// so that for shares √V_i the variance Σ V_i/π_i is small, and no chance is so small
// that one item's weight drowns the rest. The drawing is systematic (Madow 1949): the
// items stand on a line, each as long as its chance, and every whole number after u in
// [0, 1) draws the item that it falls on; so exactly the budget is spent.
//
// Shares are as in Round. An empty batch, a budget of no unit, of more units than
// items, or of part of a unit is a *BudgetError.
func Draw(shares []float64, budget int, l Limits, least, u float64) (Share, error) {
	unit, _ := l.unit()
	B, n := len(shares), budget/unit
	if B == 0 || n < 1 || n > B || budget%unit != 0 {
		return Share{}, &BudgetError{Items: B, Budget: budget, Least: unit, Even: l.Even}
	}
	pi := chances(clean(shares), float64(n), max(0, min(1, least))*float64(n)/float64(B))
	out := Share{Counts: make([]int, B), Chance: make([]float32, B)}
	drawn, sum := 0, 0.0
	for i, p := range pi {
		out.Chance[i] = float32(p)
		sum += p
		upto := int(math.Floor(sum - u + 1)) // whole numbers of u, u+1, ... below sum
		if i == B-1 {
			upto = n
		}
		if upto = min(upto, n); upto > drawn {
			out.Counts[i], drawn = unit, upto
		}
	}
	return out, nil
}

// chances solves Σ min(1, max(floor, λ·w_i)) = n for λ by bisection, and has the sum
// exact.
func chances(w []float64, n, floor float64) []float64 {
	at := func(lambda float64) (sum float64) {
		for _, v := range w {
			sum += min(1, max(floor, lambda*v))
		}
		return sum
	}
	lo, hi := 0.0, 1.0
	for range 200 {
		if at(hi) >= n {
			break
		}
		lo, hi = hi, 2*hi
	}
	for range 100 {
		if mid := (lo + hi) / 2; at(mid) < n {
			lo = mid
		} else {
			hi = mid
		}
	}
	out := make([]float64, len(w))
	var sum float64
	for i, v := range w {
		out[i] = min(1, max(floor, hi*v))
		sum += out[i]
	}
	if sum < n { // shares of 0 beside a floor of 0: what is missing goes to all
		for i := range out {
			out[i] += (n - sum) / (float64(len(w)) - sum) * (1 - out[i])
		}
		return out
	}
	for i := range out {
		out[i] *= n / sum
	}
	return out
}

// ShareRatio is Ratio of a share: Σ V_i/(π_i n_i) over the same at equal shares of the
// same total, of which the items that were drawn stand for the others with 1/π_i.
func ShareRatio(variance []float64, s Share) float64 {
	if s.Chance == nil {
		return Ratio(variance, s.Counts)
	}
	total := 0
	for _, n := range s.Counts {
		total += n
	}
	mean := float64(total) / float64(max(1, len(s.Counts)))
	var got, equal float64
	for i, v := range variance {
		if n := float64(s.Counts[i]); n > 0 && v > 0 && !math.IsInf(v, 1) {
			pi := float64(s.Chance[i])
			got += v / pi / (pi * n)
			equal += v / pi / mean
		}
	}
	if equal == 0 {
		return 1
	}
	return got / equal
}
