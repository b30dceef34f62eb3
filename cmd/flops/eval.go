package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/spf13/cobra"
)

func evalCmd() *cobra.Command {
	var f configFlags
	var model, folder, split, ckpt string
	var batch, limit int
	var asJSON bool
	c := &cobra.Command{
		Use: "eval --model DIR --data DIR", Short: "Measure a model on images", Args: cobra.NoArgs,
		Long: `Prints top-1 accuracy, top-5 where there are more than five classes, loss and
images per second. --data is a folder of class folders, or one that holds such a
folder for each split. Or give the experiment and one of its checkpoints.`,
		Example: `  flops eval --model runs/cifar5/checkpoints/step-75 --data photos/test
  flops eval --config configs/cifar5.yaml --checkpoint runs/cifar5/checkpoints/step-75`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg := config.Default()
			switch {
			case f.path != "":
				var err error
				if cfg, err = f.load(); err != nil {
					return err
				}
				if ckpt != "" {
					cfg.Model.Path = ckpt
				}
			case model == "" || folder == "":
				return uierr.New("eval needs a model and images", "give --model DIR --data DIR, or --config FILE --checkpoint DIR")
			default:
				cfg.Model.Path, cfg.Data.Path, cfg.Data.Kind = model, folder, "folder"
				if cfg.Data.Path, cfg.Data.Test = splitFolder(folder, split); cfg.Data.Test == "" {
					cfg.Data.Test = "."
				}
			}
			e, err := evaluate(c, cfg, batch, limit)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(e)
			}
			return printEval(c, e)
		},
	}
	f.add(c)
	c.Flags().StringVar(&model, "model", "", "model folder in Hugging Face layout, or a checkpoint")
	c.Flags().StringVar(&folder, "data", "", "folder of images")
	c.Flags().StringVar(&split, "split", "test", "split of --data, where it has splits")
	c.Flags().StringVar(&ckpt, "checkpoint", "", "checkpoint folder, with --config")
	c.Flags().IntVar(&batch, "batch", 64, "images at a time")
	c.Flags().IntVar(&limit, "limit", 0, "at most so many images, 0: all")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON line")
	return c
}

// splitFolder tells a folder of splits from a folder of classes.
func splitFolder(dir, split string) (root, name string) {
	if st, err := os.Stat(filepath.Join(dir, split)); err == nil && st.IsDir() {
		return dir, split
	}
	return filepath.Dir(filepath.Clean(dir)), filepath.Base(filepath.Clean(dir))
}

func evaluate(c *cobra.Command, cfg config.Config, batch, limit int) (*train.Eval, error) {
	ds, err := data.Open(cfg.Data, data.Test)
	if err != nil {
		return nil, err
	}
	defer ds.Close()
	if cfg.Model.Path == "" {
		return nil, uierr.New("no model to evaluate", "give --checkpoint DIR: a folder under the run's checkpoints/")
	}
	l, err := train.LoadLocal(cfg.Model.Path, nil, 0, 0)
	if err != nil {
		return nil, err
	}
	labels, err := matchLabels(ds.Classes(), l.Config.Labels, cfg.Model.Path)
	if err != nil {
		return nil, err
	}
	cfg.Data.Augment = nil
	t, err := l.Transform(cfg.Data)
	if err != nil {
		return nil, err
	}
	loader, err := data.NewLoader(ds, data.LoaderConfig{BatchSize: 1, Transform: t})
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	ce, err := objective.New("cross_entropy")
	if err != nil {
		return nil, err
	}
	m := vit.NewModel(vit.NewNet(l.Weights), vit.Options{Threads: cfg.Train.Threads, Loss: ce})
	defer m.Close()
	return train.Evaluate(c.Context(), m, train.Relabel(loader.Sequential(batch), labels), limit, nil)
}

// matchLabels finds the model's number of each class of the data, by name.
func matchLabels(classes, model []string, path string) ([]int32, error) {
	at := map[string]int32{}
	for i, n := range model {
		at[n] = int32(i)
	}
	out := make([]int32, len(classes))
	for i, n := range classes {
		k, ok := at[n]
		if !ok {
			return nil, uierr.New(fmt.Sprintf("class %q of the data is none of the model %s", n, path), fmt.Sprintf("the model knows %s", short(model)))
		}
		out[i] = k
	}
	return out, nil
}

func short(names []string) string {
	s := ""
	for i, n := range names {
		if i == 8 {
			return s + fmt.Sprintf(" and %d more", len(names)-i)
		}
		if i > 0 {
			s += ", "
		}
		s += n
	}
	return s
}

func printEval(c *cobra.Command, e *train.Eval) error {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "top-1 %.4f", e.Top1)
	if e.Top5 != nil {
		fmt.Fprintf(w, ", top-5 %.4f", *e.Top5)
	}
	_, err := fmt.Fprintf(w, ", loss %.4f on %d images (%.0f images/s)\n", e.Loss, e.Images, e.PerSecond)
	return err
}
