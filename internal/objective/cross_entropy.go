package objective

import "math"

func init() {
	Register("cross_entropy", func(Options) (Objective, error) { return CE{}, nil })
}

// CE is the cross-entropy of the softmax with the label:
// ℓ = log Σ_k exp(z_k) − z_y.
type CE struct{}

var _ Differentiable = CE{}

// Name is "cross_entropy".
func (CE) Name() string { return "cross_entropy" }

// Losses writes the cross-entropy of each row, in nats, at least 0. Outputs of
// NaN or +Inf give NaN.
func (CE) Losses(out, logits []float32, rows, classes int, labels []int32) error {
	if err := check("cross_entropy", out, logits, rows, classes, labels, classes); err != nil {
		return err
	}
	for r := range rows {
		z := logits[r*classes : (r+1)*classes]
		out[r] = float32(logSumExp(z) - float64(z[labels[r]]))
	}
	return nil
}

// Grad is softmax(z) − onehot(y), times scale.
func (CE) Grad(dlogits, logits []float32, rows, classes int, labels []int32, scale float32) error {
	if err := check("cross_entropy", dlogits, logits, rows, classes, labels, classes); err != nil {
		return err
	}
	for r := range rows {
		z := logits[r*classes : (r+1)*classes]
		lse := logSumExp(z)
		for k, v := range z {
			dlogits[r*classes+k] = scale * float32(math.Exp(float64(v)-lse))
		}
		dlogits[r*classes+int(labels[r])] -= scale
	}
	return nil
}

// logSumExp is log Σ exp z_k without overflow; of outputs that are all −Inf it
// is −Inf, of any NaN or +Inf NaN or +Inf.
func logSumExp(z []float32) float64 {
	top := math.Inf(-1)
	for _, v := range z {
		top = math.Max(top, float64(v))
	}
	if math.IsInf(top, 0) || math.IsNaN(top) {
		return top
	}
	var s float64
	for _, v := range z {
		s += math.Exp(float64(v) - top)
	}
	return top + math.Log(s)
}
