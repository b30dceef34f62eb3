package train

import (
	"context"
	"iter"
	"time"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
)

// RecallAt are the numbers of nearest neighbours that Retrieval looks at.
var RecallAt = []int{1, 5, 10}

// Retrieval is how well images and texts find one another by cosine.
type Retrieval struct {
	Pairing string `json:"pairing"`
	// ZeroShot is the share of images whose nearest class text is that of their
	// class. With pairing "image" the mean of the unit texts of a class's images
	// stands for the class.
	ZeroShot float64 `json:"zero_shot_top1"`
	// ImageToText and TextToImage are recall at RecallAt among the images
	// evaluated and the distinct texts of them (objective.RecallAt).
	ImageToText []float64 `json:"image_to_text"`
	TextToImage []float64 `json:"text_to_image"`
}

// Measure is what Top1 is, in words. split is data.Validation, data.Test or
// BestOnTest.
func (e *Eval) Measure(split string) string {
	name := "test accuracy"
	switch {
	case e.Retrieval == nil && split == data.Validation:
		return "validation accuracy"
	case e.Retrieval != nil && e.Retrieval.Pairing == "image":
		name = "recall@1"
	case e.Retrieval != nil:
		name = "zero-shot top-1"
	}
	switch split {
	case data.Validation:
		return "validation " + name
	case BestOnTest:
		return name + " of the best checkpoint"
	}
	return name
}

// Evaluate is the package's Evaluate for a network that is aligned with texts.
// Top1 is zero-shot accuracy where there is a text per class, else the recall@1
// of the images' texts. Loss is the mean of the image → text terms: over the
// classes, or over the texts of the same batch.
func (a *Alignment) Evaluate(ctx context.Context, m query.Model, batches iter.Seq2[*query.Batch, error], limit int, l *lr.Ledger) (*Eval, error) {
	s, ok := m.(interface{ SetLoss(objective.Objective) })
	if !ok {
		return nil, uierr.New("objective.kind: contrastive needs a model of our own", "use cross_entropy or accuracy")
	}
	s.SetLoss(a.test)
	if a.loss != nil {
		defer s.SetLoss(a.loss)
	}
	began := time.Now()
	var images, texts []float32
	var labels []int32
	var sum float64
	n, err := passes(ctx, m, batches, limit, l, func(b *query.Batch, c *query.Clean) error {
		images = append(images, c.Logits...)
		for i := range b.N {
			sum += float64(c.Losses[i])
			at := int(b.Index[i])
			labels = append(labels, a.labels[at])
			if !a.byImage {
				at = int(a.labels[at])
			}
			texts = append(texts, a.texts[at*a.width:(at+1)*a.width]...)
		}
		return nil
	})
	if err != nil || n == 0 {
		return &Eval{}, err
	}
	r := &Retrieval{Pairing: "class"}
	if r.ZeroShot, err = objective.ZeroShot(images, a.classes, a.width, labels); err != nil {
		return nil, err
	}
	found, err := objective.RecallAt(images, texts, a.width, RecallAt...)
	if err != nil {
		return nil, err
	}
	r.ImageToText, r.TextToImage = found.ImageToText, found.TextToImage
	e := &Eval{Top1: r.ZeroShot, Loss: sum / float64(n), Images: n, Retrieval: r, PerSecond: float64(n) / time.Since(began).Seconds()}
	if a.byImage {
		r.Pairing, e.Top1 = "image", r.ImageToText[0]
	}
	return e, nil
}
