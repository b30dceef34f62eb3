package cluster

import (
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
)

// Gain is how many times faster a step is expected to be with n workers as fast as the
// coordinator, which answers too where works says so: everybody runs the clean pass and
// makes the update, and the queries are shared.
func (c *Coordinator) Gain(n int, works bool) float64 {
	plan := lr.Plan(c.x.Estimator, 0)
	images := int64(c.x.Config.Train.BatchSize)
	asked := int64(0)
	for _, p := range plan {
		asked += images * int64(c.x.Config.Budget.QueriesPerImage) * forward.QueryFLOPs(c.x.Model, p)
	}
	clean := images * c.x.Model.ForwardFLOPs()
	if works {
		n++
	}
	if clean+asked == 0 || n == 0 {
		return 1
	}
	return float64(clean+asked) / (float64(clean) + float64(asked)/float64(n))
}

// Foresee says in a line where other machines gain little; empty where they do not.
func (c *Coordinator) Foresee() string {
	g := c.Gain(4, c.c.Work)
	if g >= 1.2 {
		return ""
	}
	return fmt.Sprintf("gain       four workers make a step %.2f times as fast: what every machine\n"+
		"           does itself, the clean pass, is nearly all of it; train.cache\n"+
		"           gains more", g)
}
