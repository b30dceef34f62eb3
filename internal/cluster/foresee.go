package cluster

import (
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/lr"
)

// Gain is how many times as fast as alone a step is expected to be with n workers, each
// as fast as the coordinator, which answers too where works says so: everybody runs the
// clean pass and makes the update, and the queries are shared.
func (c *Coordinator) Gain(n int, works bool) float64 {
	if works {
		n++
	}
	if c.x.Called() != nil { // everything that takes time is asked
		return float64(max(1, n))
	}
	asked := int64(0)
	for _, p := range lr.Plan(c.x.Estimator, 0) {
		asked += int64(c.x.Config.PassQueries()) * forward.QueryFLOPs(c.x.Model, p)
	}
	clean := int64(c.x.Config.Train.BatchSize) * c.x.Model.ForwardFLOPs()
	if clean+asked == 0 || n == 0 {
		return 1
	}
	return float64(clean+asked) / (float64(clean) + float64(asked)/float64(n))
}

// Foresee says what other machines gain, and what gains more where that is little.
func (c *Coordinator) Foresee() string {
	g := c.Gain(4, c.c.Work)
	line := fmt.Sprintf("gain       four workers make a step %.1f times as fast", g)
	if g < 1.2 {
		line = fmt.Sprintf("gain       four workers make a step only %.2f times as fast: what every\n"+
			"           machine does itself, the clean pass, is nearly all of it;\n"+
			"           train.cache gains more", g)
	}
	return line
}
