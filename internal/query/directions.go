package query

import (
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/noise"
)

// Counter names the noise of a parameter, by its place in Params, in a direction of
// weights.
func Counter(step uint32, param int, pair int32) noise.Counter {
	return noise.Counter{Step: step, Site: forward.WeightSite, Image: uint32(param), Pair: uint32(pair)}
}

// Directions are the directions of weights among queries, which images share: the first
// query of every pair and sign, in their order, and which of these each query is of.
func Directions(q []forward.Query) (first []forward.Query, at []int) {
	type direction struct {
		pair int32
		sign int8
	}
	seen := map[direction]int{}
	at = make([]int, len(q))
	for j, x := range q {
		d := direction{x.Pair, x.Sign}
		k, ok := seen[d]
		if !ok {
			k = len(first)
			seen[d], first = k, append(first, x)
		}
		at[j] = k
	}
	return first, at
}
