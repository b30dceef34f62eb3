package train

import (
	"context"
	"iter"
	"sort"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/metric"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/runs"
)

// MetricsKey is the key that mistakes in the chosen metrics are told under.
const MetricsKey = "train.metrics"

// Evaluate runs every batch through the model, measures it by its accuracy and the
// chosen metrics, and counts it in the ledger, which may be nil. limit bounds the
// images, 0 being all.
func Evaluate(ctx context.Context, m query.Model, batches iter.Seq2[*forward.Batch, error], limit int, l *runs.Ledger,
	chosen ...string) (*runs.Eval, error) {
	began := time.Now()
	var set *metric.Set
	n, err := passes(ctx, m, batches, limit, l, func(b *forward.Batch, c *forward.Clean) (err error) {
		if set == nil {
			if set, err = metric.NewSet(metric.Task{Outputs: c.Classes}, MetricsKey, chosen); err != nil {
				return err
			}
		}
		return set.Add(&metric.Batch{Size: b.Size, Losses: c.Losses, Outputs: c.Logits, Labels: b.Labels})
	})
	if err != nil || n == 0 {
		return &runs.Eval{Goal: metric.Top1}, err
	}
	return evalOf(metric.Top1, set, n, began)
}

// evalOf is what a set measured since a time.
func evalOf(goal string, set *metric.Set, images int, began time.Time) (*runs.Eval, error) {
	e := &runs.Eval{Goal: goal, Images: images, PerSecond: float64(images) / time.Since(began).Seconds()}
	var err error
	e.Values, e.Chosen, err = set.Values()
	return e, err
}

// passes runs batches through the model, counts them in the ledger, which may be
// nil, and gives each answer to use. It returns the number of images, of which
// limit is the most, 0 being all.
func passes(ctx context.Context, m query.Model, batches iter.Seq2[*forward.Batch, error], limit int, l *runs.Ledger,
	use func(*forward.Batch, *forward.Clean) error) (int, error) {
	images := 0
	for b, err := range batches {
		if err != nil {
			return images, err
		}
		if limit > 0 && images == limit {
			break
		}
		if limit > 0 && images+b.Size > limit {
			b = query.Part(b, 0, limit-images)
		}
		at := time.Now()
		c, err := m.Evaluate(ctx, b)
		if err != nil {
			return images, err
		}
		if l != nil {
			l.Charge(m, runs.Evaluation, int64(b.Size), int64(b.Size)*m.ForwardFLOPs(), at)
		}
		if err := use(b, c); err != nil {
			return images, err
		}
		images += b.Size
	}
	return images, nil
}

// accuracy is the share of a clean pass that is right.
func accuracy(c *forward.Clean, labels []int32) float64 {
	n := 0
	for i := range c.Losses {
		if metric.Rank(c.Logits[i*c.Classes:(i+1)*c.Classes], int(labels[i])) == 0 {
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
func Relabel(batches iter.Seq2[*forward.Batch, error], labels []int32) iter.Seq2[*forward.Batch, error] {
	return func(yield func(*forward.Batch, error) bool) {
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
