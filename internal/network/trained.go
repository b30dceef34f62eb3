// Package network opens what answers images: a network of ours from a folder or a
// checkpoint, on a device, or one that can only be called, behind what was learned
// in front of it.
package network

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/vit"
)

// Trained is a model that answers images: a network of ours, or one that can
// only be called behind what was learned in front of it.
type Trained struct {
	Model  query.Model
	Labels []string // classes of the logits
	Chans  int      // of an image
	Height int      // of an image, in pixels
	Width  int
	Local  *Local // nil where the model is called

	words     bool // texts with a learned context
	sigmoid   bool // each class is judged by itself, as SigLIP does
	transform func(config.Data) (*data.Transform, error)
}

// Open reads a model folder or a checkpoint. Where that is a prompt, c
// says how its model is called; where c names none, the config.yaml of the run
// folder around the checkpoint does. A network of ours is OpenLocal's; a called
// model runs where it is served, and a c.Train.Device other than the processor is
// refused. warn gets a line about each kind of trouble.
func Open(ctx context.Context, path string, c config.Config, warn func(string)) (*Trained, error) {
	t, err := OpenLocal(path, c, warn)
	if errors.Is(err, hf.ErrPrompt) {
		if err := ServedElsewhere(c, path); err != nil {
			return nil, err
		}
		return openPrompted(ctx, path, c, warn)
	}
	if err != nil {
		return nil, err
	}
	if len(t.Local.Words) > 0 && t.Local.Bare {
		if err := t.behindWords(path, c, warn); err != nil {
			_ = t.Close()
			return nil, err
		}
		return t, nil
	}
	if err := t.Local.needHead(path); err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// OpenLocal reads the network in a model folder or a checkpoint and puts it on
// c.Train.Device, in c.Train.Precision, or on c.Train.Threads workers of the
// processor (0: every core). A prompt is refused with hf.ErrPrompt.
func OpenLocal(path string, c config.Config, warn func(string)) (*Trained, error) {
	l, err := LoadLocal(path, nil, Tokens{}, 0)
	if err != nil {
		return nil, err
	}
	return l.open(c, warn)
}

// OpenLayer is OpenLocal of a network whose logits are one of its layers, by the
// name that vit.Encoder.View has for it; rows of a layer that has several follow
// one another.
func OpenLayer(path, layer string, c config.Config, warn func(string)) (*Trained, error) {
	l, err := LoadLayer(path, layer)
	if err != nil {
		return nil, err
	}
	return l.open(c, warn)
}

func (l *Local) open(c config.Config, warn func(string)) (*Trained, error) {
	m, err := device.Open(c.Train.Device, vit.NewNet(l.Weights),
		device.Options{Threads: c.Train.Threads, Loss: objective.CE{},
			Precision: c.Train.Precision, Warn: warn})
	if err != nil {
		return nil, err
	}
	return &Trained{Model: m, Labels: l.Config.Labels, Chans: l.Config.NumChannels, Height: l.Config.ImageSize,
		Width: l.Config.Columns(), Local: l, transform: l.Transform}, nil
}

// ConfigAround is where the config.yaml of the run folder stands that a
// checkpoint is in.
func ConfigAround(checkpoint string) string {
	return filepath.Join(checkpoint, "..", "..", "config.yaml")
}

// DataAround is the data of the run that a checkpoint stands in; that of the
// defaults for a model outside of a run.
func DataAround(model string) (config.Data, error) {
	dir, err := filepath.Abs(model)
	if err != nil {
		return config.Data{}, err
	}
	around := ConfigAround(dir)
	if _, err := os.Stat(around); err != nil || filepath.Base(filepath.Dir(dir)) != "checkpoints" {
		return config.Default().Data, nil
	}
	r, err := config.Load(around, nil)
	if err != nil {
		return config.Data{}, err
	}
	return r.Config.Data, nil
}

// Scores are what the logits of one image say of its classes, as transformers'
// pipeline has it: probabilities that sum to 1; one for each class, where they do
// not exclude one another or there is one alone; the logits of a regression.
func (t *Trained) Scores(logits []float32) []float32 {
	kind := ""
	if t.Local != nil {
		kind = t.Local.Config.ProblemType
	}
	switch {
	case kind == hf.Regression:
		return logits
	case t.sigmoid || kind == hf.MultiLabel || len(logits) == 1 && !t.ZeroShot():
		return sigmoid(logits)
	}
	return softmax(logits)
}

func sigmoid(z []float32) []float32 {
	out := make([]float32, len(z))
	for i, v := range z {
		out[i] = float32(1 / (1 + math.Exp(-float64(v))))
	}
	return out
}

func softmax(z []float32) []float32 {
	top := slices.Max(z)
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

// Transform makes images what the model takes, as trained; c may override the
// normalization.
func (t *Trained) Transform(c config.Data) (*data.Transform, error) { return t.transform(c) }

// Close frees the model.
func (t *Trained) Close() error { return t.Model.Close() }
