package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

// nameImages makes a dataset of what --data and --split name: one with splits, or
// a folder of classes.
func nameImages(d *config.Data, path, split string) error {
	if _, err := os.Stat(path); err != nil {
		return uierr.Wrap(err, fmt.Sprintf("--data %s: no such folder", path),
			"name a folder of class folders, or one with such a folder for each split")
	}
	var err error
	if d.Kind, err = data.Guess(path); err != nil {
		return err
	}
	d.Path, d.Test = path, split
	there := data.Splits(*d)
	switch {
	case slices.Contains(there, split):
	case len(there) > 0:
		return uierr.New(fmt.Sprintf("--data %s: no split %s; there are %s", path, split, network.Names(there)),
			"name one of them: --split "+there[len(there)-1])
	case d.Kind == "folder":
		d.Path, d.Test = filepath.Dir(filepath.Clean(path)), filepath.Base(filepath.Clean(path))
	}
	return nil
}

// textFlags name the embeddings that a model is compared with.
type textFlags struct{ file, pairing string }

func (f *textFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.file, "embeddings", "", "text embeddings: .safetensors, .npy or .parquet")
	c.Flags().StringVar(&f.pairing, "pairing", "",
		"class or image: what --embeddings has one for (default: as the run had)")
	offer(c, "pairing", config.Choices("objective.pairing")...)
}

// key is what mistakes in the embeddings are told under.
func (f *textFlags) key() string {
	if f.file != "" {
		return "--embeddings"
	}
	return "objective.embeddings"
}

// apply settles the objective that the model is measured by: the experiment's,
// or failing that the one of the run folder around the checkpoint, with what the
// flags say instead.
func (f *textFlags) apply(cfg *config.Config) error {
	if around := network.ConfigAround(cfg.Model.Path); cfg.Objective.Kind != "contrastive" {
		if _, err := os.Stat(around); err == nil {
			r, err := config.Load(around, nil)
			if err != nil {
				return err
			}
			cfg.Objective, cfg.Model.Prompts = r.Config.Objective, r.Config.Model.Prompts
		}
	}
	if f.file != "" {
		cfg.Objective.Kind = "contrastive"
		cfg.Objective.Own = objective.Embeddings.With(objective.TestEmbeddings.With(cfg.Objective.Own, ""), f.file)
	}
	switch {
	case f.pairing == "":
	case f.pairing != "class" && f.pairing != "image":
		return uierr.New(fmt.Sprintf("--pairing: no pairing %q", f.pairing),
			"use class (one text per class) or image (one text per image)")
	default:
		cfg.Objective.Own = objective.Pairing.With(cfg.Objective.Own, f.pairing)
	}
	return nil
}
