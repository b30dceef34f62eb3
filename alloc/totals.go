package alloc

import (
	"math"

	"github.com/flops-vit/flops/noise"
)

// totals are the queries of each part: of budget queries each in the mean, or of what
// these cost and at most so many in all, 0 being any number.
func (s *Sharer) totals(parts []Part, items, budget, most int) ([]int, error) {
	unit, own := s.o.unit()
	least, want := s.least(items, budget), s.wanted(parts)
	if s.o.ByCost {
		n := costed(want, parts, budget, least, unit, 0)
		if settle(n, items*unit, items*own, false); most > 0 && total(n) > most {
			n = costed(want, parts, budget, least, unit, most)
			settle(n, items*unit, items*own, false)
		}
		return n, nil
	}
	n, err := Round(want, budget*len(parts), Limits{Least: least, Even: s.o.Even})
	settle(n, items*unit, items*own, true)
	return n, err
}

// least are the fewest queries of a part that has budget in the mean.
func (s *Sharer) least(items, budget int) int {
	unit, own := s.o.unit()
	least := max(unit, int(partLeast*float64(budget))/unit*unit)
	if own > unit && budget >= items*own { // else a part of fewer draws items
		least = max(least, items*own)
	}
	return least
}

// Least are the fewest queries in all that ShareAtMost can be held to: of equal shares
// where parts share no cost.
func (s *Sharer) Least(parts, items, budget int) int {
	if s.o.Scope == ByImage || !s.o.ByCost {
		return parts * budget
	}
	return parts * min(budget, s.least(items, budget))
}

// wanted is in what proportion the parts have queries.
func (s *Sharer) wanted(parts []Part) []float64 {
	want := make([]float64, len(parts))
	var known, sum float64
	for k, p := range parts {
		want[k] = math.NaN()
		if st := s.parts[p.Key]; st != nil && st.Square > 0 && st.Root > 0 {
			want[k] = st.Root / math.Sqrt(st.Square*st.Weight)
			known, sum = known+1, sum+want[k]
		}
	}
	for k, p := range parts {
		if !(want[k] >= 0) {
			want[k] = 1
			if known > 0 {
				want[k] = sum / known
			}
		}
		if s.o.ByCost && p.Cost > 0 {
			want[k] /= math.Sqrt(p.Cost)
		}
	}
	return want
}

// total is the sum of counts.
func total(n []int) (sum int) {
	for _, c := range n {
		sum += c
	}
	return sum
}

// costed solves Σ max(least, λ·want)·cost = the cost of equal shares, and rounds down. A
// part that costs nothing has its equal share, since no cost would bound it, and none has
// more directions than the noise can number. With most above 0 it is the λ that gives no
// more than so many queries in all, if that is less.
func costed(want []float64, parts []Part, budget, least, unit, most int) []int {
	var equal float64
	for _, p := range parts {
		equal += float64(budget) * p.Cost
	}
	at := func(lambda float64) (n []int, over bool) {
		cost := 0.0
		for k, p := range parts {
			c := max(least, int(min(lambda*want[k], noise.MaxPair))/unit*unit)
			if p.Cost == 0 && (c > budget || most == 0) {
				c = budget
			}
			n, cost = append(n, c), cost+float64(c)*p.Cost
		}
		return n, cost > equal || most > 0 && total(n) > most
	}
	lo, hi := 0.0, 1.0
	for range 100 {
		if _, over := at(hi); over {
			break
		}
		lo, hi = hi, 2*hi
	}
	for range 60 {
		mid := (lo + hi) / 2
		if _, over := at(mid); over {
			hi = mid
		} else {
			lo = mid
		}
	}
	n, _ := at(lo)
	return n
}

// settle lowers totals between one direction of every item and their least, which cannot
// be shared out, to the former, and, where hand is set, hands what that frees to parts of
// less, as far as they reach it. The sum never grows.
func settle(n []int, one, least int, hand bool) {
	free := 0
	for k, c := range n {
		if c > one && c < least {
			n[k], free = one, free+c-one
		}
	}
	for k, c := range n {
		if hand && c < one {
			more := min(free, one-c)
			n[k], free = c+more, free-more
		}
	}
}
