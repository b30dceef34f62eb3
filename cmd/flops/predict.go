package main

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/query"
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
}

func predictCmd() *cobra.Command {
	var model string
	var asJSON bool
	var top int
	c := &cobra.Command{
		Use: "predict --model DIR IMAGE...", Short: "Say what images show", Args: cobra.MinimumNArgs(1),
		Example: "  flops predict --model models/vit photo.jpg",
		RunE: func(c *cobra.Command, paths []string) error {
			if model == "" {
				return uierr.New("predict needs a model", "give --model DIR: a folder in Hugging Face layout, or a checkpoint")
			}
			for _, p := range paths { // every mistake is told before anything is printed
				if _, err := data.ReadImage(p); err != nil {
					return err
				}
			}
			t, err := train.OpenTrained(c.Context(), model, config.Default(), warner(c))
			if err != nil {
				return err
			}
			defer t.Close()
			return predict(c, t, paths, asJSON, top)
		},
	}
	c.Flags().StringVar(&model, "model", "", "model folder in Hugging Face layout, or a checkpoint")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per image and line")
	c.Flags().IntVar(&top, "top", 3, "classes to print")
	return c
}

func predict(c *cobra.Command, m *train.Trained, paths []string, asJSON bool, top int) error {
	t, err := m.Transform(config.Data{})
	if err != nil {
		return err
	}
	enc := json.NewEncoder(c.OutOrStdout())
	for _, path := range paths {
		im, err := data.ReadImage(path)
		if err != nil {
			return err
		}
		b := &query.Batch{N: 1, X: make([]float32, t.Channels*t.Size*t.Size), Labels: make([]int32, 1), Index: make([]int32, 1)}
		fit, err := t.Fit(im, path)
		if err != nil {
			return err
		}
		t.Write(b.X, fit, nil)
		out, err := m.Model.Evaluate(c.Context(), b)
		if err != nil {
			return err
		}
		p := softmax(out.Logits)
		order := train.Ranked(p)
		if asJSON {
			if err := enc.Encode(prediction{path, m.Labels[order[0]], float64(p[order[0]]), out.Logits}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprint(c.OutOrStdout(), path)
		for _, k := range order[:min(top, len(order))] {
			fmt.Fprintf(c.OutOrStdout(), "  %s %.3f", m.Labels[k], p[k])
		}
		fmt.Fprintln(c.OutOrStdout())
	}
	return nil
}

func softmax(z []float32) []float32 {
	top := z[0]
	for _, v := range z {
		top = max(top, v)
	}
	out := make([]float32, len(z))
	var sum float64
	for i, v := range z {
		e := math.Exp(float64(v - top))
		out[i] = float32(e)
		sum += e
	}
	for i := range out {
		out[i] = float32(float64(out[i]) / sum)
	}
	return out
}
