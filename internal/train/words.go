package train

import (
	"context"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/texts"
	"github.com/flops-vit/flops/internal/vit"
)

// openWords makes the model of a run that learns a context before the names of
// classes: the images' tower as it is, and the text tower of the same folder.
func (x *Experiment) openWords() (err error) {
	c := x.Config
	if err := network.TextsElsewhere(c); err != nil {
		return err
	}
	if x.Local, err = network.LoadLocal(c.Model.Path, nil, network.Tokens{}, uint64(c.Train.Seed)); err != nil {
		return err
	}
	if x.loss, err = x.openLoss(); err != nil {
		return err
	}
	src, err := x.noiseSource()
	if err != nil {
		return err
	}
	images, err := device.Open(c.Train.Device, vit.NewNet(x.Local.Weights), device.Options{Threads: Threads(c),
		Loss: objective.CE{}, Precision: c.Train.Precision, Warn: x.Warn})
	if err != nil {
		return err
	}
	x.words, err = network.LearnWords(c, x.Local, images, x.TrainData.Classes(), x.loss, src, Threads(c), x.Warn)
	if err != nil {
		_ = images.Close()
		return err
	}
	x.Model = x.words
	if e := &x.Config.Estimator; len(x.words.Params()) > 1 && e.Name == "weight" && e.Schedule == "" {
		e.Schedule = "tensor" // each class by queries of its own, of which none has the others' noise
	}
	x.Config.Sites = config.Sites{Blocks: "none", Train: parts.All} // nothing else is trained
	return nil
}

// Words is the model of a run that learns a context before the names of classes, nil
// of another.
func (x *Experiment) Words() *texts.Model { return x.words }

// look makes the embeddings of every training image, which no step asks for again.
func (x *Experiment) look(ctx context.Context) error {
	for b, err := range x.Loader.Sequential(x.Config.Train.BatchSize) {
		if err != nil {
			return err
		}
		if err := x.words.Look(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// oweWords tells a resumed run's model what the run has spent.
func (x *Experiment) oweWords(l *runs.Ledger) {
	if a := l.Apart(); a != nil {
		x.words.Owe(texts.Counts{Images: a.Images, Texts: a.Texts}, l.Total().FLOPs)
	}
}

// twoSided is a model whose queries are of images and of texts.
func (x *Experiment) twoSided() (query.TwoSided, bool) {
	t, ok := x.Model.(query.TwoSided)
	return t, ok
}
