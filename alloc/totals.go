package alloc

import (
	"math"

	"github.com/flops-vit/flops/noise"
)

// totals are the queries of each part: of budget queries each in the mean, or of what
// these cost.
func (s *Sharer) totals(parts []Part, items, budget int) ([]int, error) {
	unit, most := s.o.unit()
	least := max(unit, int(partLeast*float64(budget))/unit*unit)
	if most > unit && budget >= items*most { // else a part of fewer draws items
		least = max(least, items*most)
	}
	want := s.wanted(parts)
	if s.o.ByCost {
		n := costed(want, parts, budget, least, unit)
		settle(n, items*unit, items*most, false)
		return n, nil
	}
	n, err := Round(want, budget*len(parts), Limits{Least: least, Even: s.o.Even})
	settle(n, items*unit, items*most, true)
	return n, err
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

// costed solves Σ max(least, λ·want)·cost = the cost of equal shares, and rounds down. A
// part that costs nothing has its equal share, since no cost would bound it; and none has
// more directions than the noise can number.
func costed(want []float64, parts []Part, budget, least, unit int) []int {
	var total float64
	for _, p := range parts {
		total += float64(budget) * p.Cost
	}
	at := func(lambda float64) (n []int, cost float64) {
		for k, p := range parts {
			c := budget
			if p.Cost > 0 {
				c = max(least, int(min(lambda*want[k], noise.MaxPair))/unit*unit)
			}
			n, cost = append(n, c), cost+float64(c)*p.Cost
		}
		return n, cost
	}
	lo, hi := 0.0, 1.0
	for range 100 {
		if _, cost := at(hi); cost > total {
			break
		}
		lo, hi = hi, 2*hi
	}
	for range 60 {
		if _, cost := at((lo + hi) / 2); cost > total {
			hi = (lo + hi) / 2
		} else {
			lo = (lo + hi) / 2
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
