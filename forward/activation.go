package forward

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/noise"
)

// activation perturbs the outputs of linear maps, docs/method.md (5) to (8). Schedules:
// per_site makes one site noisy at a time, random_site one site drawn per step
// (block-coordinate: only its parameters get a gradient), joint all of them in
// one forward. Parameters that are no linear map (norms, embeddings) are
// perturbed directly in a pass of their own.
type activation struct {
	o     Options
	sites []Site
	sigma map[int]float32 // per site
	exact []int           // those of the sites whose gradient is known without a query
	noisy []int           // the others
	w     workspace
	seen  []*Guess // of the last Accumulate
}

// Activation makes the activation estimator of a model: noise at the outputs of the
// sites of o, one after another (per_site), all in one forward (joint), or at one
// that is drawn each step (random_site). Options out of range are an *OptionError.
func Activation(m Model, o Options) (*Estimator, error) {
	if err := o.check(m, "per_site", "joint", "random_site"); err != nil {
		return nil, err
	}
	if len(o.Sites) == 0 {
		return nil, &OptionError{"Sites", "none", "name the sites of the model to perturb", nil}
	}
	a := &activation{o: o, sites: m.Sites(), sigma: map[int]float32{}}
	exact := map[int]bool{}
	if o.ExactOutput {
		exact = known(m, o.Sites)
	}
	for _, s := range o.Sites {
		a.sigma[s] = float32(o.Sigma)
		if exact[s] {
			a.exact = append(a.exact, s)
		} else {
			a.noisy = append(a.noisy, s)
		}
	}
	return NewEstimator(m, a), nil
}

func (a *activation) Name() string { return "activation" }

// Sites lists those of a step: the perturbed ones, and then those whose gradient
// is known.
func (a *activation) Sites(step uint32) []int {
	return append(slices.Clone(a.perturbed(step)), a.exact...)
}

// perturbed are the noisy sites of a step.
func (a *activation) perturbed(step uint32) []int {
	if a.o.Schedule != "random_site" || len(a.noisy) == 0 {
		return a.noisy
	}
	r := noise.Rand(a.o.Seed, noise.Schedule, step)
	return []int{a.noisy[r.Intn(len(a.noisy))]}
}

func (a *activation) Plan(step uint32) []Perturbation {
	var out []Perturbation
	for i, s := range a.perturbed(step) {
		if a.o.Schedule == "joint" && i > 0 {
			p := &out[0]
			p.Sites, p.Sigma = append(p.Sites, s), append(p.Sigma, a.sigma[s])
			continue
		}
		kind := Activations
		if a.o.Shown && a.o.Surrogate != nil && a.o.Surrogate.Predicts(s) {
			kind = Changes
		}
		out = append(out, Perturbation{Kind: kind, Step: step, Sites: []int{s}, Sigma: []float32{a.sigma[s]}})
	}
	if len(a.o.Params) > 0 {
		out = append(out, Perturbation{Kind: Weights, Step: step, Params: a.o.Params,
			Sigma: []float32{float32(a.o.Sigma)}})
	}
	return out
}

func (a *activation) Ask(ctx context.Context, m Model, s *Step) (*Result, error) {
	var records []Record
	plan := a.Plan(s.Number)
	asked, err := a.w.ask(ctx, s, plan, a.o.Antithetic)
	if err != nil {
		return nil, err
	}
	for k, p := range plan {
		rec, q, losses := s.record(k, p), asked[k].Queries, asked[k].Losses
		switch {
		case rec.Wide():
			rec.Coefs = changes(s, q, asked[k].Outputs, p.Sigma[0], a.o.Antithetic)
		case rec.Joint():
			rec.Coefs = a.jointCoefficients(q, losses, s.Clean.Losses)
		default:
			rec.Coefs = coefficients(q, losses, s.Clean.Losses, p.Sigma[0], a.o.Antithetic)
		}
		if len(p.Sites) > 0 && a.o.LearnSigma {
			rec.Mean = means(q, losses, s.Clean.Losses, a.perPair())
		}
		records = append(records, rec)
	}
	for _, site := range a.exact {
		records = append(records, Record{Perturbation: Perturbation{Kind: Outputs, Step: s.Number, Sites: []int{site}}})
	}
	return a.Answered(m, s, records), nil
}

func (a *activation) perPair() int { return a.o.perPair() }

// jointCoefficients are ℓ − b_i of every query. The scale σ differs between the
// sites, so it is divided out where the terms are made.
func (a *activation) jointCoefficients(q []Query, losses, clean []float32) []float32 {
	c := make([]float32, len(q))
	for j, x := range q {
		c[j] = losses[j] - clean[x.Image]
	}
	return c
}

func (a *activation) Accumulate(ctx context.Context, s *Step, records []Record) error {
	a.seen = a.seen[:0]
	for i := range records {
		if err := a.accumulate(ctx, s, &records[i]); err != nil {
			return err
		}
	}
	return nil
}

// accumulate adds the gradient of one record.
func (a *activation) accumulate(ctx context.Context, s *Step, r *Record) error {
	switch share := s.ShareOf(r); {
	case r.Perturbation.Kind == Outputs:
		return accumulateOutputs(ctx, s.Pass, r)
	case r.Perturbation.Kind == Weights:
		return s.Pass.Accumulate(ctx, &r.Perturbation, shareDirections(&a.w, share, r.Coefs, a.o.Antithetic))
	case r.Joint():
		return a.accumulateJoint(ctx, s, r)
	default:
		if guided, err := a.guided(ctx, s, r, share); guided || err != nil {
			return err
		}
		return s.Pass.Accumulate(ctx, &r.Perturbation, a.w.weigh(share, r.Coefs, a.o.Antithetic))
	}
}

// guided adds the gradient of one site where a surrogate predicts some of it.
func (a *activation) guided(ctx context.Context, s *Step, r *Record, share Share) (bool, error) {
	if a.o.Surrogate == nil {
		return false, nil
	}
	g, err := a.o.Surrogate.Guess(s, r.Perturbation.Sites[0])
	switch {
	case err != nil:
		return false, err
	case g == nil && r.Wide():
		return false, errNoSlope
	case g == nil:
		return false, nil
	}
	p, ok := PassAs[Guided](s.Pass)
	if !ok {
		return false, fmt.Errorf("forward: a %T adds no gradient that is predicted", s.Pass)
	}
	g.Coefs = r.Coefs
	if r.Wide() {
		e, err := s.Clean.OutputGradient(1)
		if err != nil || e == nil {
			return false, errors.Join(err, errNoSlope)
		}
		g.Changes, g.Coefs = r.Coefs, r.told(e, share, s.Clean.Classes, a.o.Antithetic)
	}
	for i, n := range share.Counts {
		P := pairs(n, a.o.Antithetic)
		for d := range P {
			g.Queries = append(g.Queries, Query{Image: int32(i), Pair: int32(d), Sign: 1})
		}
		w := float32(0)
		if P > 0 {
			w = 1 / over(share, i, a.o.Antithetic)
		}
		g.Weights = append(g.Weights, w)
	}
	if err := p.AccumulateGuided(ctx, &r.Perturbation, g); err != nil {
		return false, err
	}
	r.Left, a.seen = g.Left, append(a.seen, g)
	return true, nil
}

// Surrogate is what predicts, nil where nothing does.
func (a *activation) Surrogate() Surrogate { return a.o.Surrogate }

// accumulateJoint pairs every query's noise with the inputs that the same query
// saw, docs/method.md (8): (1/P_i) Σ_p ½[(ℓ₊−b)/σ·εᵀx₊ − (ℓ₋−b)/σ·εᵀx₋]. The baseline is free: it
// multiplies noise that is independent of the input it meets.
func (a *activation) accumulateJoint(ctx context.Context, s *Step, r *Record) error {
	share := s.ShareOf(r)
	q := Planned(nil, 0, share.Counts, a.o.Antithetic)
	var terms []Term
	for j, x := range q {
		if r.Coefs[j] != 0 {
			n := float32(len(share.Counts)*share.Counts[x.Image]) * chance(share, int(x.Image))
			terms = append(terms, Term{Image: x.Image, Pair: x.Pair, Sign: x.Sign, Coef: r.Coefs[j] / n})
		}
	}
	return s.Pass.Accumulate(ctx, &r.Perturbation, terms)
}

// Learn has the surrogate take in what Accumulate left of the step, and follows σ.
func (a *activation) Learn(s *Step, records []Record) error {
	if a.o.LearnSigma {
		a.learnSigma(s, records)
	}
	if a.o.Surrogate == nil {
		return nil
	}
	return a.o.Surrogate.Learn(s, a.seen)
}

func (a *activation) State() []float64 {
	out := make([]float64, len(a.o.Sites))
	for i, s := range a.o.Sites {
		out[i] = float64(a.sigma[s])
	}
	return out
}

func (a *activation) Restore(v []float64) error {
	if len(v) != len(a.o.Sites) {
		return fmt.Errorf("forward: state of %d sites for an estimator of %d", len(v), len(a.o.Sites))
	}
	for i, s := range a.o.Sites {
		if v[i] <= 0 || math.IsInf(v[i], 0) || math.IsNaN(v[i]) {
			return fmt.Errorf("forward: sigma %v of site %s", v[i], a.sites[s].Name)
		}
		a.sigma[s] = float32(v[i])
	}
	return nil
}
