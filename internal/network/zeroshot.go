package network

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/texts"
	"github.com/flops-vit/flops/internal/uierr"
)

// OpenZeroShot opens a CLIP or SigLIP that chooses among classes by their names in
// prompts (none: texts.Default). Its logits are the library's: the scaled cosine of
// image and class, and SigLIP's bias. The text tower is run once, here.
func OpenZeroShot(ctx context.Context, path string, c config.Config, classes, names, prompts []string,
	warn func(string)) (*Trained, error) {
	tower, err := OpenTexts(path, c, warn)
	if err != nil {
		return nil, err
	}
	defer tower.Close()
	t, err := OpenLocal(path, c, warn)
	if err != nil {
		return nil, err
	}
	if err := t.Embeds(path, tower); err != nil {
		_ = t.Close()
		return nil, err
	}
	rows, err := tower.Classes(ctx, names, prompts)
	if err != nil {
		_ = t.Close()
		return nil, err
	}
	t.Model = &zeroShot{Model: t.Model, classes: rows, width: tower.Width(), scale: tower.Scale, bias: tower.Bias}
	t.Labels, t.sigmoid = classes, tower.Sigmoid
	return t, nil
}

// Embeds refuses a network whose outputs are not embeddings that a text tower's
// can be compared with.
func (t *Trained) Embeds(path string, tower *texts.Tower) error {
	outputs := t.Local.Weights.Arch.Outputs()
	switch {
	case tower.Scale == 0:
		return uierr.New(path+": the model has no logit_scale, so images and texts have no common measure",
			"give a whole CLIP or SigLIP")
	case !t.Local.Bare && !t.Local.IsProjection():
		return uierr.New(path+": the model has a classifier in place of the embedding that texts are compared with",
			"leave out --labels and --prompt, or give the model that it was made of")
	case outputs != tower.Width():
		return uierr.New(fmt.Sprintf("%s: embeddings of images have %d values, of texts %d", path, outputs, tower.Width()),
			"give a whole CLIP or SigLIP")
	}
	return nil
}

// TextsElsewhere refuses a device for what is computed of texts alone.
func TextsElsewhere(c config.Config) error {
	if !device.Elsewhere(c.Train.Device) {
		return nil
	}
	return uierr.New(fmt.Sprintf("device %s: a text tower is computed on the processor alone", c.Train.Device),
		"leave out --device and train.device, or set them to cpu")
}

// OpenTexts opens the text tower of a model folder, or of the model that the run
// around a checkpoint began with.
func OpenTexts(path string, c config.Config, warn func(string)) (*texts.Tower, error) {
	dir, err := checkpoint.Pointed(path)
	if err != nil {
		return nil, err
	}
	t, err := texts.Open(dir, c.Train.Threads, warn)
	if err == nil {
		return t, nil
	}
	around := ConfigAround(dir)
	if _, no := os.Stat(around); no != nil {
		return nil, err
	}
	r, bad := config.Load(around, nil)
	if bad != nil {
		return nil, bad
	}
	if r.Config.Model.Path == "" {
		return nil, err
	}
	return texts.Open(r.Config.Model.Path, c.Train.Threads, warn)
}

// zeroShot is a network behind the comparison of its embeddings with classes.
type zeroShot struct {
	query.Model
	classes     []float32 // unit rows
	width       int
	scale, bias float64
}

// Evaluate is the network's embeddings compared with the classes.
func (z *zeroShot) Evaluate(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	bare := *b
	bare.Labels = nil
	e, err := z.Model.Evaluate(ctx, &bare)
	if err != nil {
		return nil, err
	}
	k := len(z.classes) / z.width
	c := &forward.Clean{Logits: make([]float32, b.Size*k), Classes: k, Features: e.Features, Dim: e.Dim}
	texts.Logits(c.Logits, e.Logits, z.classes, b.Size, z.width, z.scale, z.bias)
	if b.Labels == nil {
		return c, nil
	}
	c.Losses, c.Loss = make([]float32, b.Size), objective.CE{}
	return c, c.Loss.Losses(c.Losses, c.Logits, b.Size, k, b.Labels[:b.Size])
}

// ZeroShot says whether a model chooses among names that it was given.
func (t *Trained) ZeroShot() bool {
	_, ok := t.Model.(*zeroShot)
	return ok || t.words
}

// DrawHead makes a classifier anew.
func (l *Local) DrawHead(seed uint64) {
	l.Weights.Init(draw(seed), l.Config.Heads()...)
	l.NewHead, l.Head = true, "new: model.head says so"
}

// ZeroShotHead makes a classifier of the texts of its classes: row k is the direction
// of class k's text, as long as the scale of the logits over the mean length of an
// embedding, which lengths tells of. So it ranks the classes as the texts do, and its
// logits are those of the texts for an image of mean length.
func (l *Local) ZeroShotHead(rows []float32, scale, length float64) error {
	heads := l.Config.Heads()
	for _, p := range l.Weights.Params() {
		switch {
		case !slices.Contains(heads, p.Name):
		case len(p.Shape) == 1:
			clear(p.Data)
		case len(p.Data) != len(rows):
			return uierr.New(fmt.Sprintf("model.head: zero-shot: the classifier is %d×%d and reads no embedding that texts have",
				p.Shape[0], p.Shape[1]), "set model.head: new")
		default:
			for i, v := range rows {
				p.Data[i] = float32(scale / length * float64(v))
			}
		}
	}
	l.NewHead = true
	return nil
}
