package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

// prediction is one line of --json.
type prediction struct {
	Path        string    `json:"path"`
	Label       string    `json:"label"`
	Probability float64   `json:"probability"`
	Logits      []float32 `json:"logits"`
	Labels      []string  `json:"labels"` // of the logits, in their order
	Top         []guess   `json:"top"`
	Precision   string    `json:"precision,omitempty"` // of matrix products, where it is not fp32
}

// guess is a class and how likely it is.
type guess struct {
	Label       string  `json:"label"`
	Probability float64 `json:"probability"`
}

func predictCmd() *cobra.Command {
	var model, spec, precision string
	var asJSON bool
	var top int
	var names promptFlags
	c := &cobra.Command{
		Use: "predict --model DIR IMAGE...", Short: "Say what images show", Args: cobra.MinimumNArgs(1),
		Long: `Prints the likeliest classes of each image, in the order given. Images are read
as the run that the checkpoint stands in read its own (data.exif). One that
cannot be read is told of after the others, and the status is then 2.

The numbers are probabilities that sum to 1 over all classes; of a model of
several labels (problem_type multi_label_classification) or one output each is a
probability of its own, and of a regression the output.

A CLIP or SigLIP chooses among the classes that --labels names, by the text of
each in --prompt. CLIP's probabilities sum to 1, SigLIP's stand alone.`,
		Example: `  flops predict --model models/vit photo.jpg
  flops predict --model models/clip --labels "cat,dog" \
    --prompt "a photo of a {}." photo.jpg`,
		RunE: func(c *cobra.Command, paths []string) error {
			if model == "" {
				return uierr.New("predict needs a model", "give --model DIR: a folder in Hugging Face layout, or a checkpoint")
			}
			if top < 1 {
				return uierr.New(fmt.Sprintf("--top %d: so many classes cannot be printed", top), "give a number of 1 or more")
			}
			cfg, err := onDevice(spec)
			if err != nil {
				return err
			}
			if err := inPrecision(&cfg, precision); err != nil {
				return err
			}
			if err := names.check(); err != nil {
				return err
			}
			var t *network.Trained
			if names.labels != nil {
				t, err = network.OpenZeroShot(c.Context(), model, cfg, names.labels, names.labels, names.prompts, warner(c))
			} else {
				t, err = network.Open(c.Context(), model, cfg, warner(c))
			}
			if err != nil {
				return err
			}
			defer t.Close()
			own := ""
			if t.Local != nil {
				own = unusual(cfg)
			}
			if own != "" && !asJSON {
				fmt.Fprintf(c.ErrOrStderr(), "flops: the products of this model are in %s\n", own)
			}
			return predict(c, t, model, own, paths, asJSON, top)
		},
	}
	c.Flags().StringVar(&model, "model", "", "model folder in Hugging Face layout, or a checkpoint")
	addDevice(c, &spec, "auto")
	addPrecision(c, &precision)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per image and line")
	c.Flags().IntVar(&top, "top", 3, "classes to print")
	names.addLabels(c)
	return c
}

func predict(c *cobra.Command, m *network.Trained, model, precision string, paths []string, asJSON bool,
	top int) error {
	t, err := m.Transform(config.Data{})
	if err != nil {
		return err
	}
	read, err := network.DataAround(model)
	if err != nil {
		return err
	}
	var bad error // the last image that could not be read or fitted
	for _, path := range paths {
		im, err := fitted(t, path, read)
		if err != nil {
			if bad != nil {
				warner(c)(bad.Error())
			}
			bad = err
			continue
		}
		b := &forward.Batch{Size: 1, Inputs: make([]float32, t.Channels*t.Size*t.Columns())}
		t.Write(b.Inputs, im, nil)
		out, err := m.Model.Evaluate(c.Context(), b)
		if err != nil {
			return err
		}
		p := m.Scores(out.Logits)
		line := prediction{Path: path, Labels: m.Labels, Logits: out.Logits, Precision: precision}
		for _, k := range train.Ranked(p)[:min(top, len(p))] {
			line.Top = append(line.Top, guess{m.Labels[k], float64(p[k])})
		}
		line.Label, line.Probability = line.Top[0].Label, line.Top[0].Probability
		if err := line.print(c.OutOrStdout(), asJSON); err != nil {
			return err
		}
	}
	return bad
}

// fitted reads an image and makes it the size of the model.
func fitted(t *data.Transform, path string, cfg config.Data) (*data.Image, error) {
	im, err := data.ReadImage(path, cfg)
	if err != nil {
		return nil, err
	}
	return t.Fit(im, path)
}

// print writes a line for a reader, or for other programs.
func (p prediction) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(p)
	}
	text := p.Path
	for _, g := range p.Top {
		text += fmt.Sprintf("  %s %.3f", g.Label, g.Probability)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
