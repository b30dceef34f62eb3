package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/texts"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

func evalCmd() *cobra.Command {
	var f configFlags
	var model, folder, split, ckpt, precision string
	var aligned textFlags
	var prompts promptFlags
	var batch, limit int
	var metrics nameList
	var asJSON bool
	c := &cobra.Command{
		Use: "eval --model DIR --data DIR", Short: "Measure a model on images", Args: cobra.NoArgs,
		Long: `Prints top-1 accuracy, top-5 where there are more than five classes, loss and
images per second, and what --metrics names besides. --data is a folder of class
folders, one that holds such a folder for each split, or data of another kind
that 'flops data inspect' reads.
Or give the experiment and one of its checkpoints, or a checkpoint in its run
folder alone: --split is then test, or validation for the images that the run
held out, or train for those that it trained on.

Of a model that a contrastive run aligned with embeddings, prints zero-shot
top-1 and recall at 1, 5 and 10 from images to texts and back. The embeddings
are those of the run that the checkpoint stands in, or of --embeddings; they are
found by the names of the classes or the ids of the images, which 'flops embed'
writes.

A CLIP or SigLIP without a classifier chooses among the classes of the data by
their names in --prompt; the embeddings of several prompts are averaged.

A checkpoint of a model that could only be called is measured by calling it,
once for each image, as its run's config.yaml or --config says.`,
		Example: `  flops eval --model runs/cifar5/checkpoints/step-75 --data photos/test
  flops eval --config configs/cifar5.yaml \
    --checkpoint runs/cifar5/checkpoints/step-75
  flops eval --checkpoint runs/cifar5/checkpoints/best --split validation`,
		RunE: func(c *cobra.Command, _ []string) error {
			part := data.Test
			cfg, err := onDevice(f.device)
			if err != nil {
				return err
			}
			if f.path == "" && model == "" && folder == "" && ckpt != "" {
				f.path = network.ConfigAround(ckpt)
			}
			switch {
			case f.path != "":
				if part = split; !slices.Contains(parts, part) {
					return uierr.New(fmt.Sprintf("--split: an experiment has no split %q", split), "use "+strings.Join(parts, ", "))
				}
				if cfg, err = f.load(); err != nil {
					return err
				}
				if ckpt != "" {
					cfg.Model.Path = ckpt
				}
			case model == "" || folder == "":
				return uierr.New("eval needs a model and images", "give --model DIR --data DIR, or --config FILE --checkpoint DIR")
			default:
				if len(f.sets) > 0 {
					return uierr.New("--set "+f.sets[0]+": there is no experiment to set it in",
						"give --config FILE, or leave --set out")
				}
				cfg.Model.Path = model
				if err := nameImages(&cfg.Data, folder, split); err != nil {
					return err
				}
				read, err := network.DataAround(model)
				if err != nil {
					return err
				}
				cfg.Data.EXIF = read.EXIF
			}
			if cfg.Model.Path == "" {
				return uierr.New("no model to evaluate", "give --checkpoint DIR: a folder under the run's checkpoints/")
			}
			if err := aligned.apply(&cfg); err != nil {
				return err
			}
			if err := inPrecision(&cfg, precision); err != nil {
				return err
			}
			if c.Flags().Changed("metrics") {
				cfg.Train.Metrics = metrics.list()
			}
			e, err := evaluate(c, cfg, part, aligned.key(), prompts.prompts, batch, limit)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(runs.Measured{Eval: *e, Precision: unusual(cfg)})
			}
			return printEval(c, e, inWords(cfg))
		},
	}
	f.add(c)
	aligned.add(c)
	addPrecision(c, &precision)
	prompts.addPrompts(c)
	c.Flags().StringVar(&model, "model", "", "model folder in Hugging Face layout, or a checkpoint")
	c.Flags().StringVar(&folder, "data", "", "folder of images, or another dataset")
	c.Flags().StringVar(&split, "split", "test",
		"split of --data, where it has splits; of an experiment: test, validation or train")
	offerSplits(c)
	c.Flags().StringVar(&ckpt, "checkpoint", "", "checkpoint folder, with --config or in its run folder")
	c.Flags().IntVar(&batch, "batch", 64, "images at a time")
	c.Flags().IntVar(&limit, "limit", 0, "at most so many images, as many of each class, 0: all")
	c.Flags().Var(&metrics, "metrics",
		"what to measure besides, parted by commas (default: train.metrics of the experiment)")
	offerList(c, "metrics", metric.Names)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON line")
	return c
}

// parts are the splits that an experiment may have.
var parts = []string{data.Test, data.Validation, data.Train}

// unmixed loads a dataset in its order, as a model reads pictures.
func unmixed(m *network.Trained, ds data.Dataset, d config.Data) (*data.Loader, error) {
	t, err := m.Transform(d)
	if err != nil {
		return nil, err
	}
	return data.NewLoader(ds, data.LoaderConfig{BatchSize: 1, Transform: t})
}

func evaluate(c *cobra.Command, cfg config.Config, part, key string, prompts []string, batch, limit int) (*runs.Eval,
	error) {
	if part != data.Test {
		cfg.Objective.Own = objective.TestEmbeddings.With(cfg.Objective.Own, "") // the others' stand in objective.embeddings
	}
	ds, err := data.Open(cfg.Data, part)
	if err != nil {
		return nil, err
	}
	defer ds.Close()
	used := data.Counts(ds)
	ds = data.Balanced(ds, limit, cfg.Data.SplitSeed)
	aligned := cfg.Objective.Kind == "contrastive"
	if aligned && prompts != nil {
		return nil, uierr.New("--prompt: the model is compared with embeddings", "leave out --prompt, or --embeddings")
	}
	m, err := openMeasured(c, cfg, ds.Classes(), prompts, aligned)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if m.Local == nil && aligned {
		return nil, uierr.New(fmt.Sprintf("%s is a prompt: its model answers logits and no embeddings", cfg.Model.Path),
			"leave out --embeddings")
	}
	if !aligned && !m.ZeroShot() && m.Local != nil && m.Local.IsProjection() {
		return nil, uierr.New(fmt.Sprintf("the model %s is aligned with embeddings, and none are named", cfg.Model.Path),
			"give --embeddings FILE, and --pairing image where it has one per image")
	}
	cfg.Data.Augment = nil
	loader, err := unmixed(m, ds, cfg.Data)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	if aligned {
		a, err := train.OpenTestAlignment(cfg, key, m.Local, ds, warner(c))
		if err != nil {
			return nil, err
		}
		if err := metric.Check(a.Task(), metricsKey(c), cfg.Train.Metrics); err != nil {
			return nil, err
		}
		return a.Evaluate(c.Context(), m.Model, loader.Sequential(batch), 0, nil, cfg.Train.Metrics...)
	}
	if err := m.OneClass(cfg.Model.Path); err != nil {
		return nil, err
	}
	if err := metric.Check(metric.Task{Outputs: len(m.Labels)}, metricsKey(c), cfg.Train.Metrics); err != nil {
		return nil, err
	}
	labels, wrong := network.MatchClasses(ds.Classes(), used, m.Labels)
	if wrong != "" {
		return nil, uierr.New(fmt.Sprintf("%s (%s)", wrong, cfg.Model.Path),
			fmt.Sprintf("the data has %s; the model knows %s", network.Names(ds.Classes()), network.Names(m.Labels)))
	}
	return train.Evaluate(c.Context(), m.Model, train.Relabel(loader.Sequential(batch), labels), 0, nil,
		cfg.Train.Metrics...)
}

// openMeasured opens a model that is measured: one that knows classes, or one that
// chooses among those of the data by their names.
func openMeasured(c *cobra.Command, cfg config.Config, classes, prompts []string, aligned bool) (*network.Trained,
	error) {
	if prompts != nil || !aligned && chooses(cfg.Model.Path) {
		return network.OpenZeroShot(c.Context(), cfg.Model.Path, cfg, classes, texts.Words(classes), prompts, warner(c))
	}
	if aligned { // its embeddings are measured, whether or not classes come after them
		if t, err := network.OpenLocal(cfg.Model.Path, cfg, warner(c)); !errors.Is(err, hf.ErrPrompt) {
			return t, err
		}
	}
	return network.Open(c.Context(), cfg.Model.Path, cfg, warner(c))
}

// metricsKey is what mistakes in the chosen metrics are told under.
func metricsKey(c *cobra.Command) string {
	if c.Flags().Changed("metrics") {
		return "--metrics"
	}
	return train.MetricsKey
}

// printEval prints the single numbers on one line, and a line for each metric that
// has several.
func printEval(c *cobra.Command, e *runs.Eval, precision string) error {
	single, more := "", ""
	for _, v := range e.All() {
		m := metric.Named(v.Name)
		if len(m.At) == 0 {
			for _, o := range v.Ones() {
				single += ", " + o.Title + " " + o.Text()
			}
			continue
		}
		more += m.Title
		for i, x := range v.Numbers {
			more += fmt.Sprintf("  %s@%d %.4f", m.Each, m.At[i], x)
		}
		more += "\n"
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s on %d images (%.0f images/s%s)\n%s",
		strings.TrimPrefix(single, ", "), e.Images, e.PerSecond, precision, more)
	return err
}
