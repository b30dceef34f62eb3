package objective

func init() {
	Register("accuracy", func(Options) (Objective, error) { return Accuracy{}, nil })
}

// Accuracy is the 0/1 loss, 1 − [argmax z = y]: minimising its mean maximises
// accuracy itself. It has no gradient. Of equal largest outputs the first
// counts as the answer; NaN is never larger than anything, and a row of NaN
// alone is wrong.
type Accuracy struct{}

// Name is "accuracy".
func (Accuracy) Name() string { return "accuracy" }

// Losses writes 0 where the largest output of a row is its label's, else 1.
func (Accuracy) Losses(out, logits []float32, rows, classes int, labels []int32) error {
	if err := check("accuracy", out, logits, rows, classes, labels, classes); err != nil {
		return err
	}
	for r := range rows {
		out[r] = 1
		if Argmax(logits[r*classes:(r+1)*classes]) == int(labels[r]) {
			out[r] = 0
		}
	}
	return nil
}
