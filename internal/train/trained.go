package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/vit"
)

// Trained is a model that answers images: a network of ours, or one that can
// only be called behind what was learned in front of it.
type Trained struct {
	Model  query.Model
	Labels []string // classes of the logits
	Size   int      // of the square images, in pixels
	Chans  int
	Local  *Local // nil where the model is called

	transform func(config.Data) (*data.Transform, error)
}

// OpenTrained reads a model folder or a checkpoint. Where that is a prompt, c
// says how its model is called; where c names none, the config.yaml of the run
// folder around the checkpoint does. c.Train.Threads is for networks of ours, 0
// for every core; warn gets a line about each kind of trouble with a called model.
func OpenTrained(ctx context.Context, path string, c config.Config, warn func(string)) (*Trained, error) {
	l, err := LoadLocal(path, nil, 0, 0)
	if errors.Is(err, checkpoint.ErrPrompt) {
		return openPrompted(ctx, path, c, warn)
	}
	if err != nil {
		return nil, err
	}
	return &Trained{Model: vit.NewModel(vit.NewNet(l.Weights), vit.Options{Threads: c.Train.Threads, Loss: objective.CE{}}), Labels: l.Config.Labels,
		Size: l.Config.ImageSize, Chans: l.Config.NumChannels, Local: l, transform: l.Transform}, nil
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

// Transform makes images what the model takes, as trained; c may override the
// normalization.
func (t *Trained) Transform(c config.Data) (*data.Transform, error) { return t.transform(c) }

// Close frees the model.
func (t *Trained) Close() error { return t.Model.Close() }
