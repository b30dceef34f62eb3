package report

import "fmt"

const (
	most  = 400 // points of a line; longer ones are averaged, for the eye sees no more
	marks = 24  // lines of fewer points carry dots
)

// bands draws the interval of a series.
func (f frame) bands(p pen, s Series, color int, pale bool) {
	if s.Lo == nil || s.Hi == nil {
		return
	}
	for _, r := range runs(s.Xs, s.Lo, s.Hi) {
		var pts []point
		for i := r[0]; i < r[1]; i++ {
			pts = append(pts, f.at(s.Xs[i], s.Hi[i]))
		}
		for i := r[1] - 1; i >= r[0]; i-- {
			pts = append(pts, f.at(s.Xs[i], s.Lo[i]))
		}
		p.band(color, pts, pale)
	}
}

// series draws the line or the dots of a series.
func (f frame) series(p pen, s Series, color int) {
	switch {
	case s.Points:
		f.dots(p, s, color, 3.2)
	case s.Smooth:
		f.path(p, faintLine, color, s.Xs, s.Ys)
		f.path(p, dataLine, color, s.Xs, smooth(s.Ys))
	default:
		f.path(p, dataLine, color, s.Xs, s.Ys)
		if len(s.Xs) <= marks {
			f.dots(p, s, color, 2.6)
		}
	}
}

func (f frame) dots(p pen, s Series, color int, r float64) {
	for i := range s.Xs {
		if finite(s.Xs[i]) && finite(s.Ys[i]) {
			p.dot(color, f.at(s.Xs[i], s.Ys[i]), r, s.hint(i))
		}
	}
}

// hint is what a reader sees who points at a dot.
func (s Series) hint(i int) string {
	h := fmt.Sprintf("%s: %.4g at %s", s.Name, s.Ys[i], Short(s.Xs[i]))
	if s.Lo != nil && s.Hi != nil && finite(s.Lo[i]) && finite(s.Hi[i]) {
		h += fmt.Sprintf(" (%.4g to %.4g)", s.Lo[i], s.Hi[i])
	}
	return h
}

func (f frame) path(p pen, k kind, color int, x, y []float64) {
	for _, r := range runs(x, y) {
		var pts []point
		for i := r[0]; i < r[1]; i++ {
			pts = append(pts, f.at(x[i], y[i]))
		}
		p.line(k, color, pts)
	}
}

// runs are the stretches where every column is a number.
func runs(columns ...[]float64) (out [][2]int) {
	from := -1
	for i := 0; i <= len(columns[0]); i++ {
		ok := i < len(columns[0])
		for _, c := range columns {
			ok = ok && finite(c[i])
		}
		switch {
		case ok && from < 0:
			from = i
		case !ok && from >= 0:
			out = append(out, [2]int{from, i})
			from = -1
		}
	}
	return out
}

// cut gives the columns one length.
func (s Series) cut() Series {
	n := min(len(s.Xs), len(s.Ys))
	if s.Lo != nil && s.Hi != nil {
		n = min(n, len(s.Lo), len(s.Hi))
		s.Lo, s.Hi = s.Lo[:n], s.Hi[:n]
	}
	s.Xs, s.Ys = s.Xs[:n], s.Ys[:n]
	return s
}

// thin averages stretches of a long series; its last point stays exact.
func (s Series) thin() Series {
	n := len(s.Xs)
	if n <= most || s.Points {
		return s
	}
	per := (n + most - 1) / most
	column := func(v []float64) (out []float64) {
		if v == nil {
			return nil
		}
		for i := 0; i < n-1; i += per {
			var sum, k float64
			for _, x := range v[i:min(i+per, n-1)] {
				if finite(x) {
					sum, k = sum+x, k+1
				}
			}
			out = append(out, sum/k) // no number left: NaN, a gap
		}
		return append(out, v[n-1])
	}
	s.Xs, s.Ys, s.Lo, s.Hi = column(s.Xs), column(s.Ys), column(s.Lo), column(s.Hi)
	return s
}

// smooth is the mean over a twentieth of the values around each; a window that
// looks both ways does not lag behind.
func smooth(v []float64) []float64 {
	half := max(1, len(v)/40)
	sum, count := make([]float64, len(v)+1), make([]float64, len(v)+1)
	for i, x := range v {
		sum[i+1], count[i+1] = sum[i], count[i]
		if finite(x) {
			sum[i+1], count[i+1] = sum[i]+x, count[i]+1
		}
	}
	out := make([]float64, len(v))
	for i := range v {
		lo, hi := max(0, i-half), min(len(v), i+half+1)
		out[i] = (sum[hi] - sum[lo]) / (count[hi] - count[lo])
	}
	return out
}
