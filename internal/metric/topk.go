package metric

func init() {
	Register(Metric{Name: Top1, Title: "top-1", About: "share of the images whose largest output is their label's",
		Standard: 1, Range: Share, Needs: Logits, New: func(Task) Accumulator { return &topK{k: 1} }})
	Register(Metric{Name: "top5", Title: "top-5",
		About:    "share of the images whose label is among the five largest outputs",
		Standard: 2, Range: Share, Needs: Logits, Least: 6, New: func(Task) Accumulator { return &topK{k: 5} }})
}

// Top1 is the name of the accuracy, which training a classifier is to raise.
const Top1 = "top1"

// topK counts the images whose label ranks among the first k.
type topK struct{ k, right, n int }

func (t *topK) Add(b *Batch) error {
	width := len(b.Outputs) / max(1, b.Size)
	for i := range b.Size {
		if Rank(b.Outputs[i*width:(i+1)*width], int(b.Labels[i])) < t.k {
			t.right++
		}
	}
	t.n += b.Size
	return nil
}

func (t *topK) Value() []float64 { return []float64{float64(t.right) / float64(t.n)} }

// Rank is how many classes score higher than the right one; of equal scores the
// lower class number comes first.
func Rank(logits []float32, label int) int {
	r := 0
	for k, v := range logits {
		if v > logits[label] || v == logits[label] && k < label {
			r++
		}
	}
	return r
}
