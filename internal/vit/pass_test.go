package vit

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
)

// TestPass: a pass answers alike whatever is evaluated beside it, also where an
// objective couples its images, until another takes its place; then it refuses.
func TestPass(t *testing.T) {
	n, b := small(t, 5)
	_, other := small(t, 3)
	texts, err := objective.NewContrastive(objective.Options{Texts: other.Inputs[:16], Width: 4,
		Own: objective.Pairing.With(nil, "class")})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, loss := range []objective.Objective{objective.CE{}, texts} {
		m := NewModel(n, Options{Threads: 2, Loss: loss, Noise: source(t), Mask: true})
		first, err := m.Clean(ctx, b, []int{3})
		if err != nil {
			t.Fatal(err)
		}
		q := []forward.Query{{Image: 1, Sign: 1}, {Image: 4, Sign: -1}}
		site := &forward.Perturbation{Sites: []int{3}, Sigma: []float32{0.1}}
		weight := &forward.Perturbation{Kind: forward.Weights, Params: []int{5}, Sigma: []float32{0.1}}
		ask := func() []float32 {
			out := make([]float32, 4)
			if err := errors.Join(first.Losses(ctx, site, q, out[:2]), first.Losses(ctx, weight, q, out[2:])); err != nil {
				t.Fatal(err)
			}
			return out
		}
		want := ask()
		if _, err := m.Evaluate(ctx, other); err != nil {
			t.Fatal(err)
		}
		if got := ask(); !slices.Equal(got, want) {
			t.Errorf("%s: losses %v after an evaluation, %v before", loss.Name(), got, want)
		}
		bare := *other
		bare.Labels = nil
		if c, err := m.Evaluate(ctx, &bare); err != nil || c.Losses != nil || len(c.Logits) != 3*4 {
			t.Errorf("%s: without labels %+v, %v", loss.Name(), c, err)
		}
		if _, err := m.Clean(ctx, &bare, nil); err == nil {
			t.Errorf("%s: a pass without labels", loss.Name())
		}
		if _, err := m.Clean(ctx, other, []int{3}); err != nil {
			t.Fatal(err)
		}
		if err := first.Losses(ctx, site, q, make([]float32, 2)); !errors.Is(err, forward.ErrStale) {
			t.Errorf("%s: a stale pass is asked: %v", loss.Name(), err)
		}
		if err := first.Accumulate(ctx, site, nil); !errors.Is(err, forward.ErrStale) {
			t.Errorf("%s: a stale pass has a gradient: %v", loss.Name(), err)
		}
	}
}

// TestTogether: questions asked in one call have the answers that each has alone.
func TestTogether(t *testing.T) {
	n, b := small(t, 5)
	ctx := context.Background()
	m := NewModel(n, Options{Threads: 3, Loss: objective.CE{}, Noise: source(t), Mask: true})
	sites := []int{1, 3, 5}
	p, err := m.Clean(ctx, b, sites)
	if err != nil {
		t.Fatal(err)
	}
	q := []forward.Query{{Image: 0, Sign: 1}, {Image: 1, Sign: -1}, {Image: 4, Pair: 1, Sign: 1}}
	var all []forward.Questions
	ask := func(x forward.Perturbation) {
		x.Step = 7
		all = append(all, forward.Questions{Perturbation: &x, Queries: q, Losses: make([]float32, len(q))})
	}
	for _, s := range sites {
		ask(forward.Perturbation{Sites: []int{s}, Sigma: []float32{0.1}})
	}
	ask(forward.Perturbation{Kind: forward.Weights, Params: []int{5, 9}, Sigma: []float32{0.1}})
	ask(forward.Perturbation{Sites: sites, Sigma: []float32{0.1, 0.2, 0.3}})
	if err := p.(forward.Together).AskTogether(ctx, all); err != nil {
		t.Fatal(err)
	}
	for i, one := range all {
		want := make([]float32, len(q))
		if err := p.Losses(ctx, one.Perturbation, q, want); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(one.Losses, want) {
			t.Errorf("perturbation %d: %v, and %v alone", i, one.Losses, want)
		}
	}
	all[0].Perturbation.Sites = []int{2}
	if err := p.(forward.Together).AskTogether(ctx, all[:1]); err == nil {
		t.Error("a site that the pass was not told of was asked")
	}
}
