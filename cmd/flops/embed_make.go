package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/embed"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// towerTexts is what a model's text tower makes of texts.
func (f *embedFlags) towerTexts(ctx context.Context, cfg config.Config, warn func(string)) (*embed.Set, error) {
	if err := network.TextsElsewhere(cfg); err != nil {
		return nil, err
	}
	t, err := network.OpenTexts(f.model, cfg, warn)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	s := &embed.Set{IDs: f.classes, Width: t.Width()}
	if f.file == "" {
		s.Data, err = t.Classes(ctx, f.classes, f.prompts.prompts)
		return s, err
	}
	if s.IDs, err = textLines(f.file); err == nil {
		s.Data, err = t.Embed(ctx, s.IDs)
	}
	return s, err
}

// make is the embeddings that the flags ask for; a name for the output that no
// format has is told before they are computed.
func (f *embedFlags) make(ctx context.Context, warn func(string)) (*embed.Set, error) {
	cfg, err := onDevice(f.device)
	if err != nil {
		return nil, err
	}
	if f.path != "" {
		if cfg, err = f.load(); err != nil {
			return nil, err
		}
	}
	if f.texts != "" && f.output == "" {
		f.output = objective.Embeddings.Of(cfg.Objective.Own)
	}
	switch {
	case f.output == "":
		return nil, uierr.New("embed has nowhere to write", "give --output FILE.safetensors, .npy or .parquet")
	case f.texts != "" && f.model != "" && f.file == "" && len(f.classes) == 0:
		return nil, uierr.New("--texts: of which texts is not said", "give --texts FILE, or --classes NAME,NAME")
	case f.texts == "" && f.model == "":
		return nil, uierr.New("embed writes either embeddings of images or texts",
			"give --model DIR with --data DIR or --config FILE, or give --texts")
	}
	if err := embed.CheckFormat(f.output); err != nil {
		return nil, err
	}
	if f.texts != "" && f.model != "" {
		return f.towerTexts(ctx, cfg, warn)
	}
	if f.texts != "" {
		return f.makeTexts(cfg)
	}
	if err := inPrecision(&cfg, f.precision); err != nil {
		return nil, err
	}
	f.words = inWords(cfg)
	return f.images(ctx, cfg, warn)
}

func (f *embedFlags) makeTexts(cfg config.Config) (*embed.Set, error) {
	if f.path == "" {
		if len(f.classes) == 0 {
			return nil, uierr.New("--texts: of what is not said", "give --config FILE or --classes NAME,NAME")
		}
		return embed.OfClasses(f.classes, f.width, f.seed)
	}
	if cfg.Objective.Kind != "contrastive" {
		return nil, uierr.New(fmt.Sprintf("%s: objective.kind %s needs no texts", f.path, cfg.Objective.Kind),
			"give an experiment of objective.kind: contrastive")
	}
	splits := []string{data.Train, data.Test}
	if cfg.Data.HasValidation() {
		splits = []string{data.Train, data.Validation, data.Test}
	}
	var sets []data.Dataset
	for _, split := range splits {
		ds, err := data.Open(cfg.Data, split)
		if split == data.Test && len(splits) == 3 && errors.Is(err, data.ErrNoSplit) {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer ds.Close()
		sets = append(sets, ds)
	}
	if objective.Pairing.Of(cfg.Objective.Own) == "class" {
		return embed.OfClasses(sets[0].Classes(), f.width, f.seed)
	}
	return embed.Captions(sets...)
}

// images is what a model makes of the images of a split.
func (f *embedFlags) images(ctx context.Context, cfg config.Config, warn func(string)) (*embed.Set, error) {
	split := f.split
	switch {
	case f.folder != "":
		around, err := network.DataAround(f.model)
		if err != nil {
			return nil, err
		}
		cfg.Data = config.Default().Data
		cfg.Data.EXIF = around.EXIF
		if err := nameImages(&cfg.Data, f.folder, f.split); err != nil {
			return nil, err
		}
		split = data.Test
	case f.path == "":
		return nil, uierr.New("embed has no images", "give --data DIR or --config FILE")
	}
	ds, err := data.Open(cfg.Data, split)
	if err != nil {
		return nil, err
	}
	defer ds.Close()
	m, err := f.open(cfg, warn)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	cfg.Data.Augment = nil
	loader, err := unmixed(m, ds, cfg.Data)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	return embedAll(ctx, m.Model, ds, loader.Sequential(f.batch))
}

// layers are the names that --layer takes.
var layers = []string{"auto", vit.LayerCls, vit.LayerMean, vit.LayerPooled, vit.LayerProjection, vit.LayerLast}

// open is the network whose logits are the layer that is asked for. The projection
// of a contrastive run is its classifier.
func (f *embedFlags) open(cfg config.Config, warn func(string)) (*network.Trained, error) {
	if !slices.Contains(layers, f.layer) {
		return nil, uierr.New(fmt.Sprintf("--layer: no layer %q", f.layer), "use "+strings.Join(layers, ", "))
	}
	layer := f.layer
	if layer == "auto" || layer == vit.LayerProjection {
		own, made, err := network.Projections(f.model)
		switch {
		case err != nil:
			return nil, err
		case made:
			return network.OpenLocal(f.model, cfg, warn)
		case own:
			layer = vit.LayerProjection
		case layer == "auto":
			layer = vit.LayerPooled
		}
	}
	return network.OpenLayer(f.model, layer, cfg, warn)
}

// embedAll runs a dataset through a model and keeps its outputs.
func embedAll(ctx context.Context, m query.Model, ds data.Dataset,
	batches iter.Seq2[*forward.Batch, error]) (*embed.Set, error) {
	s := &embed.Set{}
	for b, err := range batches {
		if err != nil {
			return nil, err
		}
		bare := *b        // the loader keeps b
		bare.Labels = nil // the data's classes may be more than the model's
		c, err := m.Evaluate(ctx, &bare)
		if err != nil {
			return nil, err
		}
		s.Width = c.Classes
		s.Data = append(s.Data, c.Logits...)
		for _, i := range b.Index {
			s.IDs = append(s.IDs, ds.Info(int(i)).ID)
		}
	}
	return s, nil
}
