package train

import (
	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
)

// signals collects what an allocator may look at: numbers of the clean pass,
// never of the queries that it is about to hand out.
func signals(step, epoch int, seed uint64, b *forward.Batch, c *forward.Clean) alloc.Signals {
	return alloc.Signals{Step: step, Epoch: epoch, Seed: seed, IDs: b.Index, Losses: c.Losses,
		Features: c.Features, Dim: c.Dim, Surprise: alloc.Surprise(c.Logits, c.Classes, b.Labels)}
}
