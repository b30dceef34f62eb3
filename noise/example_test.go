package noise_test

import (
	"fmt"

	"github.com/flops-vit/flops/noise"
)

// A loss is asked at both ends of each direction, and the gradient is gathered
// after that: the directions are made again from their counters, so that no
// memory grows with their number.
func Example() {
	target := []float32{1, -2, 3}
	loss := func(theta []float32) (sum float32) {
		for i, t := range target {
			sum += (theta[i] - t) * (theta[i] - t)
		}
		return sum
	}
	const sigma, pairs = 0.01, 64
	src := noise.Gaussian(7)
	theta, moved, grad := make([]float32, 3), make([]float32, 3), make([]float32, 3)
	for step := range uint32(100) {
		var slopes [pairs]float32
		for p := range uint32(pairs) {
			c := noise.Counter{Step: step, Pair: p}
			src.AddScaled(moved, theta, sigma, c, 0)
			up := loss(moved)
			src.AddScaled(moved, theta, -sigma, c, 0)
			slopes[p] = (up - loss(moved)) / (2 * sigma)
		}
		clear(grad)
		for p, s := range slopes {
			src.Axpy(grad, s/pairs, noise.Counter{Step: step, Pair: uint32(p)}, 0)
		}
		for i, g := range grad {
			theta[i] -= 0.1 * g
		}
	}
	fmt.Printf("%.2f\n", theta)
	// Output: [1.00 -2.00 3.00]
}

// The same counter makes the same numbers, whichever part of them is asked for.
func ExampleSource() {
	src := noise.Rademacher(1)
	c := noise.Counter{Step: 3, Image: 5}
	whole, part := make([]float32, 8), make([]float32, 3)
	src.Fill(whole, c, 0)
	src.Fill(part, c, 4)
	fmt.Println(whole[4] == part[0], whole[5] == part[1], whole[6] == part[2])
	// Output: true true true
}

// The first 2^k directions of a Sobol sequence have as many elements below the
// median as above, in every place.
func ExampleSobol() {
	src := noise.Sobol(noise.Normal, 1)
	e := make([]float32, 5)
	var below [5]int
	for pair := range uint32(16) {
		src.Fill(e, noise.Counter{Pair: pair}, 0)
		for i, v := range e {
			if v < 0 {
				below[i]++
			}
		}
	}
	fmt.Println(below, "of 16; at most", noise.MaxDim(src), "elements")
	// Output: [8 8 8 8 8] of 16; at most 21201 elements
}

// A stream of numbers that starts again at the same place: the order of the items
// of an epoch.
func ExampleRand() {
	const order = noise.Free // a purpose of one's own
	epoch := uint32(4)
	a := noise.Rand(1, order, epoch).Perm(6)
	b := noise.Rand(1, order, epoch).Perm(6)
	fmt.Println(fmt.Sprint(a) == fmt.Sprint(b))
	// Output: true
}
