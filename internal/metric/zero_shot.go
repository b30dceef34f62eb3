package metric

import "github.com/flops-vit/flops/internal/objective"

func init() {
	Register(Metric{Name: ZeroShot, Title: "zero-shot top-1",
		About:    "share of the images whose nearest class text by cosine is that of their class",
		Standard: 3, Range: Share, Needs: Embeddings, New: func(t Task) Accumulator { return &zeroShot{task: t} }})
}

// ZeroShot is the name of what training with a text per class is to raise.
const ZeroShot = "zero_shot"

// zeroShot counts the images whose nearest text is that of their class; of equal
// cosines the first class counts. Neither side needs to be of unit length.
type zeroShot struct {
	task     Task
	right, n int
}

func (z *zeroShot) Add(b *Batch) error {
	width := z.task.Outputs
	sims := make([]float32, len(z.task.Classes)/width)
	for i := range b.Size {
		cosines(sims, b.Outputs[i*width:(i+1)*width], z.task.Classes, width)
		if objective.Argmax(sims) == int(b.Labels[i]) {
			z.right++
		}
	}
	z.n += b.Size
	return nil
}

func (z *zeroShot) Value() []float64 { return []float64{float64(z.right) / float64(z.n)} }
