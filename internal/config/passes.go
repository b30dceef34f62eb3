package config

import (
	"math"

	"github.com/flops-vit/flops/internal/lr"
)

// unit is the queries of one direction.
func (c *Config) unit() int {
	if c.Estimator.Antithetic {
		return 2
	}
	return 1
}

// Asks says whether the estimator asks queries.
func (c *Config) Asks() bool { return !lr.Is(c.Estimator.Name, lr.Silent) }

// LeastDirection is the queries of one direction, or the least of an image where that
// is more.
func (c *Config) LeastDirection() int { return max(c.unit(), c.Allocator.MinQueries) }

// Draws says that there is less than one direction an image, so that images are drawn
// that have one.
func (c *Config) Draws() bool { return c.Budget.QueriesPerImage < float64(c.unit()) }

// PassQueries are the queries of a step that each of its perturbations has, or, where
// they differ, has in the mean.
func (c *Config) PassQueries() int {
	n := int(math.Round(c.Budget.QueriesPerImage * float64(c.Train.BatchSize)))
	if !c.Draws() {
		return n
	}
	return max(c.unit(), n/c.unit()*c.unit())
}

// QueriesAt are PassQueries of a step, counted from 0: with budget.early more at first and
// fewer in the end, as many over a whole run. Where there is less than one direction an
// image, images are drawn.
func (c *Config) QueriesAt(step int) int {
	n, last := c.PassQueries(), c.Train.Steps-1
	if c.Budget.Early == 0 || last < 1 {
		return n
	}
	share := 1 + c.Budget.Early*(1-2*float64(min(step, last))/float64(last))
	n = int(math.Round(share*float64(n)/float64(c.unit()))) * c.unit()
	if n >= c.Train.BatchSize*c.unit() {
		n = max(n, c.Train.BatchSize*c.Allocator.MinQueries)
	}
	return max(c.unit(), n)
}

// LeastPass are the fewest that a perturbation can do with.
func (c *Config) LeastPass() int {
	if c.Draws() {
		return c.unit()
	}
	return c.Train.BatchSize * c.Allocator.MinQueries
}

// Shareable lowers the queries of a perturbation to what can be shared out: whole
// directions, and either no more than one for each image or at least every image's least.
func (c *Config) Shareable(n int) int {
	n = n / c.unit() * c.unit()
	if one := c.Train.BatchSize * c.unit(); n > one && n < c.Train.BatchSize*c.LeastDirection() {
		return one
	}
	return n
}
