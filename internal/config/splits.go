package config

import (
	"fmt"
	"path/filepath"
)

// HasValidation says whether there is a validation split, by which a run is then
// followed and its best checkpoint chosen.
func (d Data) HasValidation() bool { return d.Validation > 0 || d.ValidationSplit != "" }

// BestBy is the split that the best checkpoint is chosen by: validation, test,
// or none where no best checkpoint is kept.
func (c Config) BestBy() string {
	switch {
	case !c.Checkpoint.KeepBest:
		return "none"
	case c.Checkpoint.Best != "auto":
		return c.Checkpoint.Best
	case c.Data.HasValidation():
		return "validation"
	}
	return "test"
}

// splits checks what is said of the validation split.
func splits(c *Config) error {
	d := c.Data
	key, name := "data.validation_split", fmt.Sprintf("%q", d.ValidationSplit)
	switch {
	case d.ValidationSplit != "" && !filepath.IsLocal(d.ValidationSplit):
		return bad(key, name, "leads out of data.path", "name a split inside data.path")
	case d.ValidationSplit != "" && (d.ValidationSplit == d.Train || d.ValidationSplit == d.Test):
		return bad(key, name, "is the training or the test split",
			"name another, or hold images out with data.validation: 0.1")
	}
	return nil
}
