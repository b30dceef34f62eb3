package train

import (
	"context"
	"iter"
	"time"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
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
	began := time.Now()
	var images, texts []float32
	var labels []int32
	var sum float64
	n, err := passes(ctx, m, unlabelled(batches), limit, l, func(b *query.Batch, c *query.Clean) error {
		images = append(images, c.Logits...)
		losses, err := a.losses(b, c)
		if err != nil {
			return err
		}
		for i := range b.N {
			sum += float64(losses[i])
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

// losses are the image → text terms of a batch of the split.
func (a *Alignment) losses(b *query.Batch, c *query.Clean) ([]float32, error) {
	labels := make([]int32, b.N)
	for i := range labels {
		labels[i] = a.labels[b.Index[i]]
	}
	bound, err := objective.Bind(a.test, labels, b.Index, c.Classes)
	if err != nil {
		return nil, err
	}
	out := make([]float32, b.N)
	return out, bound.Losses(out, c.Logits, b.N, c.Classes, bound.Targets)
}

// unlabelled are batches of which a model is to say its outputs alone.
func unlabelled(batches iter.Seq2[*query.Batch, error]) iter.Seq2[*query.Batch, error] {
	return func(yield func(*query.Batch, error) bool) {
		for b, err := range batches {
			if err != nil {
				yield(nil, err)
				return
			}
			bare := *b // the loader keeps b
			bare.Labels = nil
			if !yield(&bare, nil) {
				return
			}
		}
	}
}
