package train

import (
	"context"
	"fmt"
	"strings"

	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/texts"
)

// lookAt is how many training images the length of an embedding is taken from.
const lookAt = 64

// openHead makes the classifier of the texts of its classes, where the config wants
// that (model.head: zero-shot).
func (x *Experiment) openHead() error {
	c := x.Config
	if c.Model.Head != "zero-shot" {
		return nil
	}
	ctx := context.Background()
	tower, err := network.OpenTexts(c.Model.Path, c, x.Warn)
	if err != nil {
		return err
	}
	defer tower.Close()
	prompts := c.Model.Prompts
	if len(prompts) == 0 {
		prompts = []string{texts.Default}
	}
	if err := texts.CheckPrompts("model.prompts", prompts); err != nil {
		return err
	}
	rows, err := tower.Classes(ctx, texts.Words(x.TrainData.Classes()), prompts)
	if err != nil {
		return err
	}
	length, images, err := x.length(ctx)
	if err != nil {
		return err
	}
	if err := x.Local.ZeroShotHead(rows, tower.Scale, length); err != nil {
		return err
	}
	if m, ok := x.Model.(interface{ Reload() }); ok {
		m.Reload()
	}
	x.Local.Head = fmt.Sprintf("of the texts %q, at the mean length of %d images' embeddings", strings.Join(prompts, ", "),
		images)
	return nil
}

// length is the mean length of the embeddings that the classifier reads.
func (x *Experiment) length(ctx context.Context) (mean float64, images int, err error) {
	for b, err := range x.Loader.Sequential(min(lookAt, x.TrainData.Len())) {
		if err != nil {
			return 0, 0, err
		}
		bare := *b
		bare.Labels = nil
		c, err := x.Model.Evaluate(ctx, &bare)
		if err != nil {
			return 0, 0, err
		}
		for i := range b.Size {
			mean += objective.Norm(c.Features[i*c.Dim : (i+1)*c.Dim])
		}
		images = b.Size
		break
	}
	return mean / float64(max(1, images)), images, nil
}
