package alloc

import "sort"

// distances are the squared distances between rows of features, in units of
// their median (of their mean where that is 0), so that a length scale has no
// dimension.
func distances(f []float64, n, dim int) []float64 {
	d := make([]float64, n*n)
	var off []float64
	for i := range n {
		for j := range i {
			var s float64
			for k := range dim {
				v := f[i*dim+k] - f[j*dim+k]
				s += v * v
			}
			d[i*n+j], d[j*n+i] = s, s
			off = append(off, s)
		}
	}
	if len(off) == 0 {
		return d
	}
	sort.Float64s(off)
	unit := off[len(off)/2]
	if unit == 0 { // most items are alike
		for _, v := range off {
			unit += v / float64(len(off))
		}
	}
	if unit > 0 {
		for i := range d {
			d[i] /= unit
		}
	}
	return d
}
