// Command blackbox trains what returns a number per item: a catapult, by its misses in five winds.
package main

import (
	"context"
	"fmt"
	"math"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/noise"
)

func main() {
	winds, theta := []float64{-2, -1, 0, 1, 2}, []float32{8, 0.5} // speed in m/s, angle in radians
	model := must(forward.NewFunc(theta, noise.Gaussian(1), forward.PerItem(func(theta []float32, item int) float32 {
		speed, angle := float64(theta[0]), float64(theta[1])
		miss := (speed*math.Cos(angle)+winds[item])*2*speed*math.Sin(angle)/9.81 - 12 // the target stands 12 m away
		return float32(miss * miss)
	})))
	e := must(forward.Weight(model, forward.Options{Sigma: 0.02, Antithetic: true}))
	share := must(alloc.NewGaussian(alloc.GaussianOptions{Limits: alloc.Limits{Least: 2, Even: true}}))
	for step := range 401 {
		r := must(e.Step(context.Background(), &forward.Batch{Size: len(winds)}, share, 40))
		for i, g := range model.Gradient() {
			theta[i] -= 0.002 * g
		}
		if step%100 == 0 {
			fmt.Printf("step %d: squared misses %.3f, queries %v\n", step, r.Losses, r.Counts)
		}
	}
}

func must[T any](v T, err error) T {
	if err == nil {
		return v
	}
	panic(err)
}
