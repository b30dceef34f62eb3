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
	"github.com/spf13/cobra"
)

// embedFlags are those of 'flops embed'.
type embedFlags struct {
	configFlags
	model, folder, split, layer, output string
	precision, words                    string // --precision, and what is said of it
	texts, file                         string // --texts, and the file that it names
	prompts                             promptFlags
	classes                             nameList
	width, batch                        int
	seed                                uint64
}

func embedCmd() *cobra.Command {
	var f embedFlags
	c := &cobra.Command{
		Use: "embed --output FILE", Short: "Write embeddings of images, or texts to align with",
		Args: cobra.MaximumNArgs(1),
		Long: `Writes embeddings with an id each, in the format that the file's name ends
with: .safetensors, .npy (ids in FILE.ids.txt) or .parquet.

With --model, those of the images of --data or of the experiment's data, under
the id by which a contrastive run pairs them, such as test/cat/0001.png.
--layer says what of the model: cls, the first token after the last norm; mean,
that of the patches; pooled, the row that a classifier reads; last, all rows
one after another; or projection, the model's own or what a contrastive run
made of the classifier (auto: the projection where there is one, else pooled).

With --model and --texts FILE, those of a CLIP's or SigLIP's text tower, as the
library's get_text_features: of each line of FILE under the line itself, or of
--classes, unit vectors that average those of every --prompt.

With --texts alone, stand-ins for the output of a text encoder that the
experiment needs: with objective.pairing image the words that describe each
drawn image (data.kind shapes) as ones among zeros; with class, or with
--classes and no experiment, fixed orthogonal vectors that a seed and the
class's name decide.`,
		Example: `  flops embed --model runs/cifar5/checkpoints/step-75 --data photos \
    --output photos.npy
  flops embed --texts --config configs/shapes-align.yaml
  flops embed --texts --classes cat,dog --width 16 --output classes.safetensors
  flops embed --model models/clip --texts captions.txt --output captions.npy`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.nameTexts(args); err != nil {
				return err
			}
			s, err := f.make(c.Context(), warner(c))
			if err != nil {
				return err
			}
			if err := embed.Write(f.output, s); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d embeddings of width %d in %s%s\n", s.Len(), s.Width, f.output, f.words)
			return err
		},
	}
	f.add(c)
	addPrecision(c, &f.precision)
	c.Flags().StringVar(&f.model, "model", "", "model folder in Hugging Face layout, or a checkpoint")
	c.Flags().StringVar(&f.folder, "data", "", "folder of images: class folders, or such a folder for each split")
	c.Flags().StringVar(&f.split, "split", "test", "train, validation or test")
	offerSplits(c)
	c.Flags().StringVar(&f.layer, "layer", "auto", strings.Join(layers, ", "))
	offer(c, "layer", layers...)
	c.Flags().StringVarP(&f.output, "output", "o", "", "file to write (--texts with an experiment: objective.embeddings)")
	c.Flags().StringVar(&f.texts, "texts", "",
		"write embeddings of texts: of a file's lines (- for the input) with --model")
	c.Flags().Lookup("texts").NoOptDefVal = alone
	f.prompts.addPrompts(c)
	c.Flags().Var(&f.classes, "classes", "--texts: names of the classes, where there is no experiment")
	c.Flags().IntVar(&f.width, "width", 16, "--texts: width of the vectors of classes")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "--texts: seed of the vectors of classes")
	c.Flags().IntVar(&f.batch, "batch", 64, "images at a time")
	return c
}

// alone is --texts without a file.
const alone = "true"

// nameTexts takes the file of --texts, which may also stand after it.
func (f *embedFlags) nameTexts(args []string) error {
	if f.texts != "" && f.texts != alone && f.texts != "false" {
		f.file, f.texts = f.texts, alone
	}
	if f.texts == "false" {
		f.texts = ""
	}
	if len(args) == 1 {
		if f.texts == "" || f.file != "" {
			return uierr.New(fmt.Sprintf("embed does not know what to do with %q", args[0]),
				"give --texts FILE for texts, --data DIR for images")
		}
		f.file = args[0]
	}
	switch {
	case f.file != "" && f.model == "":
		return uierr.New("--texts "+f.file+": which model reads them is not said", "give --model DIR: a CLIP or SigLIP")
	case f.folder != "" && f.texts != "":
		return uierr.New("--texts: and --data "+f.folder+" too", "give --texts for texts, or --data DIR for images")
	case f.file != "" && len(f.classes) > 0:
		return uierr.New("--texts "+f.file+": and --classes too", "give one of them")
	case f.prompts.prompts != nil && len(f.classes) == 0:
		return uierr.New("--prompt: of which classes is not said", "give --classes NAME,NAME")
	}
	return f.classes.check("--classes")
}

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
	t, err := m.Transform(cfg.Data)
	if err != nil {
		return nil, err
	}
	loader, err := data.NewLoader(ds, data.LoaderConfig{BatchSize: 1, Transform: t})
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
