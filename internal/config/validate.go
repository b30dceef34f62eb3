package config

import (
	"fmt"
	"slices"
	"strings"
)

// Validate checks every rule that needs neither data nor model; the first
// broken one is the error, with its key and what to do.
func Validate(c *Config) error {
	for _, check := range []func(*Config) error{enums, texts, ranges, splits, sigma, related, budgets} {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

// enums checks every value that has a list of choices.
func enums(c *Config) error {
	for _, f := range fields() {
		known := f.choices()
		if known == nil {
			continue
		}
		given, ok := f.of(c).Interface().([]string)
		if !ok {
			given = []string{f.of(c).String()}
		}
		for _, g := range given {
			if slices.Contains(known, g) {
				continue
			}
			choices := strings.Join(slices.DeleteFunc(slices.Clone(known), func(s string) bool { return s == "" }), ", ")
			hint := "choose one of " + choices
			if n := nearest(g, known); n != "" {
				hint = fmt.Sprintf("did you mean %s? known: %s", n, choices)
			}
			return bad(f.key, fmt.Sprintf("%q", g), "is no choice", hint)
		}
	}
	return nil
}

// budgets checks what the numbers of queries are to each other.
func budgets(c *Config) error {
	b, a := c.Budget, c.Allocator
	if !c.Asks() {
		return nil
	}
	if !c.Draws() && b.QueriesPerImage < float64(a.MinQueries) {
		return bad("budget.queries_per_image", b.QueriesPerImage,
			fmt.Sprintf("is less than the %d queries that every image gets", a.MinQueries),
			fmt.Sprintf("raise it to at least %d, or lower allocator.min_queries", a.MinQueries))
	}
	if n := c.PassQueries(); !c.Draws() && float64(n) != b.QueriesPerImage*float64(c.Train.BatchSize) {
		return bad("budget.queries_per_image", b.QueriesPerImage,
			fmt.Sprintf("gives no whole number of queries to %d images", c.Train.BatchSize), "give a whole number")
	} else if c.Estimator.Antithetic && n%2 != 0 {
		return bad("budget.queries_per_image", b.QueriesPerImage,
			"gives an odd number of queries, and antithetic pairs are two each", "make it even")
	}
	if least := c.Train.BatchSize + c.LeastPass(); b.MaxQueries > 0 && b.MaxQueries < int64(least) {
		return bad("budget.max_queries", b.MaxQueries, "does not pay for one step",
			fmt.Sprintf("a step costs at least %d: a clean pass of %d images and %d queries", least,
				c.Train.BatchSize, c.LeastPass()))
	}
	return nil
}
