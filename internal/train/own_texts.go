package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/embed"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/texts"
	"github.com/flops-vit/flops/internal/uierr"
)

// textsFor are the embeddings that a config's contrastive objective compares images
// with: those of its file, or without one those of the text tower of the model in a
// folder, of each class in model.prompts. The objective is then the model's own where
// the config leaves that open: its temperature, and of a SigLIP the sigmoid and its
// bias.
func textsFor(c config.Config, path, key string, classes []string, warn func(string)) (*embed.Set, config.Objective,
	error) {
	o := c.Objective
	if file := objective.Embeddings.Of(o.Own); file != "" {
		set, err := readTexts(file, key)
		return set, o, err
	}
	tower, err := network.OpenTexts(path, c, warn)
	if errors.Is(err, hf.ErrNoText) {
		return nil, o, uierr.Wrap(err, fmt.Sprintf("objective.embeddings: none are named, and %s has no text tower", path),
			"name a file of text embeddings, or set model.path to a whole CLIP or SigLIP")
	}
	if err != nil {
		return nil, o, err
	}
	defer tower.Close()
	if err := texts.CheckPrompts("model.prompts", c.Model.Prompts); err != nil {
		return nil, o, err
	}
	set := &embed.Set{IDs: slices.Clone(classes), Width: tower.Width(), Path: path}
	if set.Data, err = tower.Classes(context.Background(), texts.Words(classes), c.Model.Prompts); err != nil {
		return nil, o, err
	}
	if objective.Temperature.Of(o.Own) == 0 && tower.Scale > 0 {
		o.Own = objective.Temperature.With(o.Own, max(0.01, 1/tower.Scale))
	}
	if tower.Sigmoid && objective.Form.Of(o.Own) == "auto" {
		o.Own = objective.Form.With(o.Own, "sigmoid")
	}
	if objective.Bias.Of(o.Own) == 0 {
		o.Own = objective.Bias.With(o.Own, tower.Bias)
	}
	return set, o, nil
}
