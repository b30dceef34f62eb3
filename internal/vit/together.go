package vit

import (
	"context"

	"github.com/flops-vit/flops/forward"
)

// together is a Backend that evaluates several lists in one go, so that none of its
// workers waits for the end of each. Coefficients and sums there are none.
type together interface {
	RunTogether(ctx context.Context, lists []*List, f []*Forward) error
}

var (
	_ forward.Together = (*pass)(nil)
	_ together         = (*cpu)(nil)
)

// AskTogether asks the queries at sites in one call where the backend can; those of
// weights, which change what the others read, come one after another.
func (p *pass) AskTogether(ctx context.Context, all []forward.Questions) error {
	b, ok := p.m.b.(together)
	var lists []*List
	var graphs []*Forward
	for _, q := range all {
		if err := p.usable(q.Perturbation); err != nil {
			return err
		}
		if !ok || q.Perturbation.Kind != forward.Activations {
			if err := q.Answer(ctx, p); err != nil {
				return err
			}
			continue
		}
		l := &List{Step: q.Perturbation.Step, Sites: q.Perturbation.Sites, Sigma: q.Perturbation.Sigma, Queries: q.Queries,
			Targets: make([]int32, len(q.Queries)), Loss: p.loss, Losses: q.Losses}
		for i, x := range q.Queries {
			l.Targets[i] = p.loss.Targets[x.Image]
		}
		lists, graphs = append(lists, l), append(graphs, &Forward{Sites: q.Perturbation.Sites})
	}
	if len(lists) == 0 {
		return nil
	}
	return b.RunTogether(ctx, lists, graphs)
}
