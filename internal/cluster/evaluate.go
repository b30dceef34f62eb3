package cluster

import (
	"context"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/query"
)

// Where a network is evaluated as a run does it, by the weights after its last step, the
// images of a split are shared out, too: an answer is an image's loss and its outputs.

// splitParts are the numbers of splits in the place of a part.
var splitParts = map[string]int{data.Validation: callPart - 1, data.Test: callPart - 2}

// splitOf is the split of such a number.
func splitOf(part int) string {
	for name, n := range splitParts {
		if n == part {
			return name
		}
	}
	return ""
}

// shared is a model whose evaluations are shared out.
type shared struct {
	query.Model
	c *Coordinator
}

// Unwrap is the model.
func (s shared) Unwrap() forward.Model { return s.Model }

// Evaluate implements query.Model.
func (s shared) Evaluate(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	part, ok := splitParts[query.SplitOf(ctx)]
	classes := s.c.outputs
	if !ok || len(b.Labels) < b.Size || b.Size == 0 || classes == 0 {
		return s.Model.Evaluate(ctx, b)
	}
	q := make([]forward.Query, b.Size)
	for i := range q {
		q[i].Image = int32(i)
	}
	out := &forward.Clean{Losses: make([]float32, b.Size), Logits: make([]float32, b.Size*classes), Classes: classes}
	s.c.mu.Lock()
	step := s.c.taken
	s.c.mu.Unlock()
	j := &job{step: step, number: part, base: int(b.Index[0]), width: 1 + classes, tasks: map[key]*entry{},
		asked:  []forward.Questions{{Queries: q, Losses: out.Losses, Outputs: out.Logits}},
		counts: [][]int{ones(b.Size)}, start: [][]int{upTo(b.Size)}, left: b.Size,
		cost: []float64{float64(max(1, s.Model.ForwardFLOPs()))}, queue: []segment{{0, 0, b.Size}}}
	j.answer = func(ctx context.Context, e *entry, numbers []float32) error {
		c, err := s.Model.Evaluate(ctx, query.Part(b, e.first, e.images))
		if err != nil {
			return err
		}
		if out.Loss = c.Loss; len(c.Losses)+len(c.Logits) != len(numbers) {
			return fmt.Errorf("cluster: an evaluation of %d images has %d losses and %d outputs", e.images, len(c.Losses),
				len(c.Logits))
		}
		copy(numbers, c.Losses)
		copy(numbers[len(c.Losses):], c.Logits)
		return nil
	}
	if err := s.c.do(ctx, j); err != nil {
		return nil, err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	// Of what is measured after a step, the checkpoint of that step knows already.
	return out, s.c.note(max(0, step-1))
}

func ones(n int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

func upTo(n int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = i
	}
	return v
}
