package alloc

import "math"

// cholesky factors the symmetric n×n matrix a as L·Lᵀ, adding jitter to the
// diagonal, ten times more at each try, until it is positive definite. It
// returns L (lower triangle, row-major) and the jitter that was needed.
func cholesky(a []float64, n int, jitter float64) ([]float64, float64) {
	l := make([]float64, n*n)
	for ; ; jitter *= 10 {
		if factor(l, a, n, jitter) || jitter > 1e12 {
			return l, jitter
		}
	}
}

// factor goes by columns, of which the rows wait for nothing of one another.
func factor(l, a []float64, n int, jitter float64) bool {
	for j := range n {
		col := l[j*n : j*n+j]
		s := a[j*n+j] + jitter
		for _, v := range col {
			s -= v * v
		}
		if !(s > 0) || math.IsInf(s, 1) {
			return false
		}
		s = math.Sqrt(s)
		l[j*n+j] = s
		i := j + 1
		for ; i+4 <= n; i += 4 {
			r0, r1, r2, r3 := l[i*n:][:j], l[(i+1)*n:][:j], l[(i+2)*n:][:j], l[(i+3)*n:][:j]
			s0, s1, s2, s3 := a[i*n+j], a[(i+1)*n+j], a[(i+2)*n+j], a[(i+3)*n+j]
			for k, v := range col {
				s0 -= r0[k] * v
				s1 -= r1[k] * v
				s2 -= r2[k] * v
				s3 -= r3[k] * v
			}
			l[i*n+j], l[(i+1)*n+j], l[(i+2)*n+j], l[(i+3)*n+j] = s0/s, s1/s, s2/s, s3/s
		}
		for ; i < n; i++ {
			x := a[i*n+j]
			for k, v := range col {
				x -= l[i*n+k] * v
			}
			l[i*n+j] = x / s
		}
	}
	return true
}

// solve overwrites b with (L·Lᵀ)⁻¹ b. Both passes walk along rows of L.
func solve(l []float64, n int, b []float64) {
	for i := range n {
		row := l[i*n : i*n+i+1]
		for k, v := range row[:i] {
			b[i] -= v * b[k]
		}
		b[i] /= row[i]
	}
	for i := n - 1; i >= 0; i-- {
		row := l[i*n : i*n+i+1]
		b[i] /= row[i]
		for k, v := range row[:i] {
			b[k] -= v * b[i]
		}
	}
}

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
	unit := nth(off, len(off)/2)
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

// nth is the number that would stand at a place if v were sorted. It changes the order
// of v (Hoare's quickselect), in which no number is NaN.
func nth(v []float64, place int) float64 {
	lo, hi := 0, len(v)-1
	for lo < hi {
		pivot := max(min(v[lo], v[hi]), min(max(v[lo], v[hi]), v[lo+(hi-lo)/2])) // the middle of three
		i, j := lo, hi
		for i <= j {
			for v[i] < pivot {
				i++
			}
			for v[j] > pivot {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case place <= j:
			hi = j
		case place >= i:
			lo = i
		default:
			return v[place]
		}
	}
	return v[place]
}
