package config

import (
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
)

// Origin is what the defaults were in the first version. A run's fingerprint tells
// what is different from them, so that other defaults rename no run; and the run
// folders of versions without a key mean its value here.
func Origin() Config {
	c := Default()
	c.Estimator.Antithetic = true
	c.Estimator.Own = lr.Surrogate.With(lr.ExactOutput.With(c.Estimator.Own, false), "none")
	c.Allocator.Name, c.Allocator.MinQueries, c.Allocator.Standardise = "gaussian", 2, false
	c.Budget.QueriesPerImage = 8
	c.Objective.Own = objective.Temperature.With(c.Objective.Own, 0.07)
	return c
}

// base are the values of the keys that a file does not have: the defaults, or those of
// Origin in the config.yaml of a run folder, which is whole but for keys that are newer
// than its version.
func base(path string) Config {
	if filepath.Base(path) == "config.yaml" {
		for _, of := range []string{"journal.bin", "env.json", "checkpoints"} {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), of)); err == nil {
				return Origin()
			}
		}
	}
	return Default()
}
