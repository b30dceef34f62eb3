package vit

import "math"

// Runs are rows of which those of a run come to the outputs alike, one run after the
// other: the cls row, tokens that nothing reads, the patches under a mean. The anchor of
// sites of such rows has one row of its own for each run, which stands for their sum
// over the root of their number, so that independent noise of the rows has the variance
// there that it has in each.
type Runs []int // the end of each

// alone is one row.
var alone = Runs{1}

// rows are all of them.
func (r Runs) rows() int { return r[len(r)-1] }

// each calls do with the number, the first row, the end and the share of every run.
func (r Runs) each(do func(k, lo, hi int, share float32)) {
	lo := 0
	for k, hi := range r {
		do(k, lo, hi, float32(1/math.Sqrt(float64(hi-lo))))
		lo = hi
	}
}

// spread gives every row of out, width wide, its run's share of u.
func (r Runs) spread(out, u []float32, width int) {
	if len(r) == 1 && r[0] == 1 {
		copy(out, u)
		return
	}
	r.each(func(k, lo, hi int, share float32) {
		for t := lo; t < hi; t++ {
			for j, v := range u[k*width : (k+1)*width] {
				out[t*width+j] = share * v
			}
		}
	})
}

// gather adds the rows of x to out, those of a run by its share: the transpose of spread.
func (r Runs) gather(out, x []float32, width int) {
	r.each(func(k, lo, hi int, share float32) {
		for t := lo; t < hi; t++ {
			for j, v := range x[t*width : (t+1)*width] {
				out[k*width+j] += share * v
			}
		}
	})
}

// runs are those of the live rows of the last block.
func (e Encoder) runs() Runs {
	lo, n := e.live()
	switch lead := e.Tokens() - e.Patches() - lo; {
	case e.Pool == PoolHeads:
		return Runs{1, 2}
	case e.Pool == PoolBoth && lead > 1:
		return Runs{1, lead, n}
	case lead > 0 && lead < n:
		return Runs{lead, n}
	}
	return Runs{n}
}
