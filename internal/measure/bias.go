package measure

import "math"

// bias is an estimate of ‖E Ĝ − g‖²/‖g‖² with its standard error.
type bias struct{ value, se float64 }

// biasOf estimates the squared bias of draws against the gradient g that they
// should have in the mean: the mean of (G_r−g)·(G_s−g) over pairs of different
// draws, in which the draws' own noise cancels. Its error is the jackknife's of
// this U-statistic (Arvesen 1969).
func biasOf(grads [][]float32, g []float32) bias {
	R := len(grads)
	row := make([]float64, R) // Σ_{s≠r} (G_r−g)·(G_s−g)
	total := make([]float64, len(g))
	var norm float64
	for i, v := range g {
		norm += float64(v) * float64(v)
		for _, d := range grads {
			total[i] += float64(d[i]) - float64(v)
		}
	}
	var all float64
	for r, d := range grads {
		for i, v := range g {
			x := float64(d[i]) - float64(v)
			row[r] += x * (total[i] - x)
		}
		all += row[r]
	}
	n := float64(R)
	var mean, sq float64
	for _, x := range row {
		u := (all - 2*x) / ((n - 1) * (n - 2))
		mean += u / n
		sq += u * u / n
	}
	return bias{all / (n * (n - 1)) / norm, math.Sqrt((n-1)*math.Max(0, sq-mean*mean)) / norm}
}

// meanBias averages the batches, with a 95% interval.
func meanBias(b []bias) (*float64, []float64) {
	if len(b) == 0 {
		return nil, nil
	}
	var v, sq float64
	for _, x := range b {
		v += x.value / float64(len(b))
		sq += x.se * x.se
	}
	half := 1.96 * math.Sqrt(sq) / float64(len(b))
	return &v, []float64{v - half, v + half}
}
