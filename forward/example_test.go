package forward_test

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/noise"
)

// points are what the black boxes of these examples are fitted to: y = 3x − 1.
var points = [][2]float32{{-2, -7}, {-1, -4}, {0, -1}, {1, 2}, {2, 5}, {3, 8}}

// square is a black box: the squared error of a line at one point.
func square(theta []float32, item int) float32 {
	d := theta[0]*points[item][0] + theta[1] - points[item][1]
	return d * d
}

// Anything that returns a number per item is trained by calling it.
func Example() {
	theta := []float32{0, 0}
	model, err := forward.NewFunc(theta, noise.Gaussian(1), forward.PerItem(square))
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := forward.Weight(model, forward.Options{Sigma: 0.01, Antithetic: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	share := alloc.NewUniform(alloc.Limits{Least: 2, Even: true})
	for range 200 {
		if _, err := e.Step(context.Background(), &forward.Batch{Size: len(points)}, share, 8*len(points)); err != nil {
			fmt.Println(err)
			return
		}
		for i, g := range model.Gradient() {
			theta[i] -= 0.05 * g
		}
	}
	fmt.Printf("y = %.2f x + %.2f\n", theta[0], theta[1])
	// Output: y = 3.00 x + -1.00
}

// counted answers queries by the model's own pass, and counts them.
type counted struct {
	forward.Pass
	asked *int
}

func (c counted) Losses(ctx context.Context, p *forward.Perturbation, q []forward.Query, out []float32) error {
	*c.asked += len(q)
	return c.Pass.Losses(ctx, p, q, out)
}

// Somebody else answers the queries: one type that implements Evaluator.
func ExampleAnsweredBy() {
	theta, asked := []float32{0, 0}, 0
	own, err := forward.NewFunc(theta, noise.Gaussian(1), forward.PerItem(square))
	if err != nil {
		fmt.Println(err)
		return
	}
	model := forward.AnsweredBy(own, func(_ *forward.Batch, p forward.Pass) forward.Evaluator {
		return counted{p,
			&asked}
	})
	e, err := forward.Weight(model, forward.Options{Sigma: 0.01, Antithetic: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	share := alloc.NewUniform(alloc.Limits{Least: 2, Even: true})
	r, err := e.Step(context.Background(), &forward.Batch{Size: len(points)}, share, 24)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(asked, r.Queries, r.Counts)
	// Output: 24 24 [4 4 4 4 4 4]
}
