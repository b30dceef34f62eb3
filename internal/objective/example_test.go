package objective_test

import (
	"fmt"

	"github.com/flops-vit/flops/internal/objective"
)

// hit is an objective of one's own: 0 where the label is among the two largest
// outputs, 1 where it is not. It has no gradient and needs none.
type hit struct{}

func (hit) Name() string { return "top2" }

func (hit) Losses(out, logits []float32, rows, classes int, labels []int32) error {
	for r := range rows {
		z := logits[r*classes : (r+1)*classes]
		larger := 0
		for _, v := range z {
			if v > z[labels[r]] {
				larger++
			}
		}
		out[r] = 1
		if larger < 2 {
			out[r] = 0
		}
	}
	return nil
}

func init() {
	objective.Register("top2", func(objective.Options) (objective.Objective, error) { return hit{}, nil })
}

func ExampleRegister() {
	o, err := objective.New("top2")
	if err != nil {
		fmt.Println(err)
		return
	}
	losses := make([]float32, 2)
	if err := o.Losses(losses, []float32{1, 3, 2, 5, 4, 6}, 2, 3, []int32{2, 1}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(o.Name(), losses)
	// Output: top2 [0 1]
}
