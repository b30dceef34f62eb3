package train

import (
	"context"
	"iter"
	"sort"
	"time"

	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/query"
)

// Eval is how a model does on a dataset.
type Eval struct {
	Top1      float64  `json:"top1"`           // what training is to raise: accuracy, or see Alignment.Evaluate
	Top5      *float64 `json:"top5,omitempty"` // where there are more than five classes
	Loss      float64  `json:"loss"`
	Images    int      `json:"images"`
	PerSecond float64  `json:"images_per_s,omitempty"`

	Retrieval *Retrieval `json:"retrieval,omitempty"` // of a network that is aligned with texts
}

// Evaluate runs every batch through the model and counts it in the ledger,
// which may be nil. limit bounds the images, 0 being all.
func Evaluate(ctx context.Context, m query.Model, batches iter.Seq2[*query.Batch, error], limit int, l *lr.Ledger) (*Eval, error) {
	began := time.Now()
	var e Eval
	var top1, top5, classes int
	var sum float64
	var err error
	e.Images, err = passes(ctx, m, batches, limit, l, func(b *query.Batch, c *query.Clean) error {
		classes = c.Classes
		for i := 0; i < b.N; i++ {
			sum += float64(c.Losses[i])
			r := rank(c.Logits[i*c.Classes:(i+1)*c.Classes], int(b.Labels[i]))
			if r == 0 {
				top1++
			}
			if r < 5 {
				top5++
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if n := float64(e.Images); n > 0 {
		e.Top1, e.Loss = float64(top1)/n, sum/n
		if classes > 5 {
			t := float64(top5) / n
			e.Top5 = &t
		}
		e.PerSecond = n / time.Since(began).Seconds()
	}
	return &e, nil
}

// passes runs batches through the model, counts them in the ledger, which may be
// nil, and gives each answer to use. It returns the number of images, of which
// limit is the most, 0 being all.
func passes(ctx context.Context, m query.Model, batches iter.Seq2[*query.Batch, error], limit int, l *lr.Ledger, use func(*query.Batch, *query.Clean) error) (int, error) {
	images := 0
	for b, err := range batches {
		if err != nil {
			return images, err
		}
		if limit > 0 && images == limit {
			break
		}
		if limit > 0 && images+b.N > limit {
			b = head(b, limit-images)
		}
		at := time.Now()
		c, err := m.Evaluate(ctx, b)
		if err != nil {
			return images, err
		}
		if l != nil {
			l.Spend(lr.Evaluation, spend(m, l, int64(b.N)), int64(b.N)*m.ForwardFLOPs(), at)
		}
		if err := use(b, c); err != nil {
			return images, err
		}
		images += b.N
	}
	return images, nil
}

// head is the first n images of a batch.
func head(b *query.Batch, n int) *query.Batch {
	size := len(b.X) / b.N
	return &query.Batch{N: n, X: b.X[:n*size], Labels: b.Labels[:min(n, len(b.Labels))], Index: b.Index[:n]}
}

// rank is how many classes score higher than the right one; of equal scores the
// lower class number comes first.
func rank(logits []float32, label int) int {
	r := 0
	for k, v := range logits {
		if v > logits[label] || v == logits[label] && k < label {
			r++
		}
	}
	return r
}

// accuracy is the share of a clean pass that is right.
func accuracy(c *query.Clean, labels []int32) float64 {
	n := 0
	for i := range c.Losses {
		if rank(c.Logits[i*c.Classes:(i+1)*c.Classes], int(labels[i])) == 0 {
			n++
		}
	}
	return float64(n) / float64(max(1, len(c.Losses)))
}

// Ranked lists classes by falling probability.
func Ranked(probs []float32) []int {
	at := make([]int, len(probs))
	for i := range at {
		at[i] = i
	}
	sort.SliceStable(at, func(a, b int) bool { return probs[at[a]] > probs[at[b]] })
	return at
}

// Relabel gives the images of a dataset the model's numbers of their classes.
func Relabel(batches iter.Seq2[*query.Batch, error], labels []int32) iter.Seq2[*query.Batch, error] {
	return func(yield func(*query.Batch, error) bool) {
		for b, err := range batches {
			if err == nil {
				for i := range b.Labels {
					b.Labels[i] = labels[b.Labels[i]]
				}
			}
			if !yield(b, err) {
				return
			}
		}
	}
}
