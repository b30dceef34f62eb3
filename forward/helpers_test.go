package forward

import (
	"math"

	"github.com/flops-vit/flops/noise"
)

// normals are n numbers of a normal distribution of this deviation.
func normals(g *noise.Generator, n int, deviation float64) []float64 {
	v := make([]float64, n)
	for k := range v {
		v[k] = deviation * g.Normal()
	}
	return v
}

func clearGrads(m Model) {
	for _, p := range m.Params() {
		clear(p.Grad)
	}
}

type sample struct{ n, sum, sq float64 }

func (s *sample) add(v float64) { s.n++; s.sum += v; s.sq += v * v }

// z is the distance of the mean from want, in standard errors.
func (s *sample) z(want float64) float64 {
	mean := s.sum / s.n
	se := math.Sqrt(max(0, s.sq/s.n-mean*mean) / (s.n - 1))
	return (mean - want) / (se + 1e-12)
}

// limit is the tolerance in standard errors. Some 200 comparisons are made, and
// a true mean strays beyond 4.5 in one of 150,000.
const limit = 4.5
