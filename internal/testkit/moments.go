package testkit

import "math"

// Moments gather vectors of as many numbers, which are drawn again and again.
type Moments struct {
	n       float64
	sum, sq []float64
}

// Add takes one more vector, which may come in parts.
func (m *Moments) Add(parts ...[]float32) {
	m.n++
	i := 0
	for _, part := range parts {
		for _, v := range part {
			if i == len(m.sum) {
				m.sum, m.sq = append(m.sum, 0), append(m.sq, 0)
			}
			m.sum[i] += float64(v)
			m.sq[i] += float64(v) * float64(v)
			i++
		}
	}
}

// At is the mean of a number of the vectors, its variance and the standard error of the
// mean.
func (m *Moments) At(i int) (mean, variance, se float64) {
	mean = m.sum[i] / m.n
	variance = m.sq[i]/m.n - mean*mean
	return mean, variance, math.Sqrt(variance / (m.n - 1))
}
