package train

import (
	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
)

// newSharer makes what shares out a step's queries by a config's settings.
func newSharer(c config.Config, warn func(string)) (*alloc.Sharer, error) {
	a := c.Allocator
	return allocator.NewSharer(a.Name, allocatorOptions(c, warn), allocator.Sharing{Scope: a.Scope,
		LeastChance: a.LeastChance, Standardise: a.Standardise, ByCost: c.Budget.Unit == "operations"})
}

// Share gives a step of whoever measures its counts, as a run has them.
func (x *Experiment) Share(s *lr.Step, step int) error {
	sig := x.Signals(step, s)
	sig.Step = int(s.Number)
	return x.share(s, sig, x.Config.PassQueries(), 0)
}

// share gives a step its counts: one share of all its perturbations, or one of each,
// of which Counts are then the sums. There are at most so many of all, 0 being any number.
func (x *Experiment) share(s *lr.Step, sig alloc.Signals, budget, most int) error {
	var parts []alloc.Part
	for _, p := range lr.Plan(x.Estimator, s.Number) {
		parts = append(parts, alloc.Part{Key: x.partOf(p), Cost: float64(forward.QueryFLOPs(x.Model, p))})
	}
	shares, err := x.Sharer.ShareAtMost(sig, parts, budget, most)
	if err != nil {
		return err
	}
	if s.Counts, s.Chance = shares[0].Counts, shares[0].Chance; x.Config.Allocator.Scope == alloc.ByImage {
		return nil
	}
	s.Shares, s.Counts, s.Chance = shares, make([]int, s.Batch.Size), nil
	for _, one := range shares {
		for i, n := range one.Counts {
			s.Counts[i] += n
		}
	}
	return nil
}

// partOf names a perturbation, alike in every step.
func (x *Experiment) partOf(p forward.Perturbation) string {
	switch {
	case p.Kind == forward.Weights && len(p.Params) == 1:
		return x.Model.Params()[p.Params[0]].Name
	case p.Kind == forward.Weights:
		return "weights"
	case len(p.Sites) > 1:
		return "joint"
	}
	return x.Model.Sites()[p.Sites[0]].Name
}

// seen is what the queries of a step showed, once its gradient is made and before an
// update has changed it.
func (x *Experiment) seen(s *lr.Step, records []forward.Record) (out []alloc.Seen, err error) {
	for k, v := range lr.Variances(x.Model, x.Estimator, s, records) {
		r := &records[k]
		if v == nil {
			continue
		}
		one := alloc.Seen{Key: x.partOf(r.Perturbation), Share: s.ShareOf(r), Variance: v}
		if one.Square, err = x.squares(forward.Touched(x.Model, records[k:k+1])); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}
