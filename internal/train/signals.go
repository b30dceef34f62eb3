package train

import (
	"math"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/query"
)

// signals collects what an allocator may look at: numbers of the clean pass,
// never of the queries that it is about to hand out.
func signals(step, epoch int, seed uint64, b *query.Batch, c *query.Clean) allocator.Signals {
	return allocator.Signals{Step: step, Epoch: epoch, Seed: seed, IDs: b.Index, Losses: c.Losses,
		Features: c.Features, Dim: c.Dim, Surprise: surprise(c, b.Labels)}
}

// surprise is ‖softmax(logits) − onehot‖ of each image: the norm of the loss's
// gradient by the logits, which costs nothing.
func surprise(c *query.Clean, labels []int32) []float32 {
	out := make([]float32, len(c.Losses))
	for i := range out {
		z := c.Logits[i*c.Classes : (i+1)*c.Classes]
		top := z[0]
		for _, v := range z {
			top = max(top, v)
		}
		var sum float64
		for _, v := range z {
			sum += math.Exp(float64(v - top))
		}
		var sq float64
		for k, v := range z {
			p := math.Exp(float64(v-top)) / sum
			if k == int(labels[i]) {
				p--
			}
			sq += p * p
		}
		out[i] = float32(math.Sqrt(sq))
	}
	return out
}
