package train

import (
	"context"
	"iter"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/runs"
)

// Evaluate is the package's Evaluate for a network that is aligned with texts. Loss
// is the mean of the image → text terms: over the classes, or over the texts of the
// same batch.
func (a *Alignment) Evaluate(ctx context.Context, m query.Model, batches iter.Seq2[*forward.Batch, error], limit int,
	l *runs.Ledger, chosen ...string) (*runs.Eval, error) {
	began := time.Now()
	goal := metric.ZeroShot
	if a.byImage {
		goal = metric.ImageToText
	}
	set, err := metric.NewSet(a.Task(), MetricsKey, chosen)
	if err != nil {
		return nil, err
	}
	n, err := passes(ctx, m, unlabelled(batches), limit, l, func(b *forward.Batch, c *forward.Clean) error {
		losses, err := a.losses(b, c)
		if err != nil {
			return err
		}
		answered := &metric.Batch{Size: b.Size, Losses: losses, Outputs: c.Logits}
		for i := range b.Size {
			at := int(b.Index[i])
			answered.Labels = append(answered.Labels, a.labels[at])
			if !a.byImage {
				at = int(a.labels[at])
			}
			answered.Texts = append(answered.Texts, a.texts[at*a.width:(at+1)*a.width]...)
		}
		return set.Add(answered)
	})
	if err != nil || n == 0 {
		return &runs.Eval{Goal: goal}, err
	}
	return evalOf(goal, set, n, began)
}

// Task is what there is to measure. With pairing "image" the mean of the unit texts
// of a class's images stands for the class.
func (a *Alignment) Task() metric.Task {
	return metric.Task{Outputs: a.width, Aligned: true, Classes: a.classes}
}

// losses are the image → text terms of a batch of the split.
func (a *Alignment) losses(b *forward.Batch, c *forward.Clean) ([]float32, error) {
	labels := make([]int32, b.Size)
	for i := range labels {
		labels[i] = a.labels[b.Index[i]]
	}
	bound, err := objective.Bind(a.test, labels, b.Index, c.Classes)
	if err != nil {
		return nil, err
	}
	out := make([]float32, b.Size)
	return out, bound.Losses(out, c.Logits, b.Size, c.Classes, bound.Targets)
}

// losses are those of a batch of a split, against the split's own texts where the
// network is aligned with texts.
func (x *Experiment) losses(ctx context.Context, s *Split, b *forward.Batch) ([]float32, error) {
	if s.texts == nil {
		c, err := x.Model.Evaluate(ctx, b)
		if err != nil {
			return nil, err
		}
		return c.Losses, nil
	}
	bare := *b
	bare.Labels = nil
	c, err := x.Model.Evaluate(ctx, &bare)
	if err != nil {
		return nil, err
	}
	return s.texts.losses(b, c)
}

// unlabelled are batches of which a model is to say its outputs alone.
func unlabelled(batches iter.Seq2[*forward.Batch, error]) iter.Seq2[*forward.Batch, error] {
	return func(yield func(*forward.Batch, error) bool) {
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
