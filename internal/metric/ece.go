package metric

import (
	"math"

	"github.com/flops-vit/flops/internal/objective"
)

func init() {
	Register(Metric{Name: "ece", Title: "ECE",
		About: "expected calibration error: how far the confidence of the answers is from the share of them that is right, " +
			"in 15 bins",
		Better: Lower, Range: Share, Needs: Logits, New: func(Task) Accumulator { return &calibration{} }})
}

// bins of the confidence, as in the paper's tables.
const bins = 15

// calibration is the expected calibration error of Guo, Pleiss, Sun and
// Weinberger (2017), "On Calibration of Modern Neural Networks", equation 3:
//
//	ECE = sum over m of |B_m|/n · |acc(B_m) − conf(B_m)|
//
// An image's confidence is the largest of its probabilities, which are the softmax
// of its outputs; its answer is the class of the largest output, the first of
// equals. B_m holds the images with a confidence in ((m−1)/15, m/15], an edge m/15
// being the float64 nearest to it; empty bins add nothing. Since |B_m| cancels, a
// bin adds |right − sum of confidences|/n. Sums are taken in float64, image by
// image. Outputs of which the softmax is no number make the value none.
type calibration struct {
	right [bins]int
	sure  [bins]float64 // sum of the confidences
	n     int
	void  bool
}

func (c *calibration) Add(b *Batch) error {
	width := len(b.Outputs) / max(1, b.Size)
	for i := range b.Size {
		z := b.Outputs[i*width : (i+1)*width]
		p := confidence(z)
		c.n++
		if math.IsNaN(p) {
			c.void = true
			continue
		}
		m := bin(p)
		c.sure[m] += p
		if objective.Argmax(z) == int(b.Labels[i]) {
			c.right[m]++
		}
	}
	return nil
}

func (c *calibration) Value() []float64 {
	if c.void {
		return []float64{math.NaN()}
	}
	sum := 0.0
	for m := range bins {
		sum += math.Abs(float64(c.right[m]) - c.sure[m])
	}
	return []float64{sum / float64(c.n)}
}

// confidence is the largest of the probabilities.
func confidence(z []float32) float64 {
	top, sum := math.Inf(-1), 0.0
	for _, v := range z {
		top = max(top, float64(v)) // NaN where one is
	}
	for _, v := range z {
		sum += math.Exp(float64(v) - top)
	}
	return 1 / sum
}

// bin is the place of the first edge that a confidence is not above.
func bin(p float64) int {
	for m := 1; m < bins; m++ {
		if p <= float64(m)/bins {
			return m - 1
		}
	}
	return bins - 1
}
