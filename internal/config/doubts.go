package config

import (
	"fmt"
	"math"
)

// visibleSigma is about the least scale of noise that losses of ordinary size
// show in float32: a loss of 1 has neighbours at 1.2e-07, a forward rounds
// several times, and of a difference so small nothing is left.
const visibleSigma = 2e-6

// Doubts are what is legal in an experiment and yet looks wrong before data and
// model are seen, a line each.
func Doubts(c Config) (out []string) {
	if s := c.Estimator.Sigma; c.Asks() && s < visibleSigma {
		out = append(out, fmt.Sprintf("estimator.sigma %g is less than float32 can tell: "+
			"a loss of 1 differs from its neighbours by %.2g; the default is %g", s, math.Nextafter32(1, 2)-1,
			Default().Estimator.Sigma))
	}
	return out
}

// sigma refuses a scale that is nothing at all in float32.
func sigma(c *Config) error {
	const smallest = 0x1p-126 // of float32, with all its digits
	if s := c.Estimator.Sigma; c.Asks() && s < smallest {
		return bad("estimator.sigma", s, "is nothing in float32",
			fmt.Sprintf("give a number such as %g", Default().Estimator.Sigma))
	}
	return nil
}
