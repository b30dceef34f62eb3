package lr

import (
	"context"
	"fmt"
	"math"

	"github.com/flops-vit/flops/internal/noise"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
)

func init() { Register("activation", newActivation) }

// activation perturbs the outputs of linear maps (DESIGN 3.1). Schedules:
// per_site makes one site noisy at a time, random_site one site drawn per step
// (block-coordinate: only its parameters get a gradient), joint all of them in
// one forward. Parameters that are no linear map (norms, embeddings) are
// perturbed directly in a pass of their own.
type activation struct {
	o     Options
	sites []query.Site
	sigma map[int]float32 // per site
}

func newActivation(m query.Model, o Options) (Estimator, error) {
	if o.Schedule == "" {
		o.Schedule = "per_site"
	}
	switch o.Schedule {
	case "per_site", "joint", "random_site":
	default:
		return nil, uierr.New(fmt.Sprintf("estimator.schedule: the activation estimator has no schedule %q", o.Schedule), "use per_site, joint or random_site")
	}
	if len(o.Sites) == 0 {
		return nil, uierr.New("sites: no site is trained", "name blocks and kinds, or set sites.classifier: true")
	}
	a := &activation{o: o, sites: m.Sites(), sigma: map[int]float32{}}
	for _, s := range o.Sites {
		a.sigma[s] = float32(o.Sigma)
	}
	return a, nil
}

func (a *activation) Name() string { return "activation" }

func (a *activation) Sites(step uint32) []int {
	if a.o.Schedule != "random_site" {
		return a.o.Sites
	}
	r := noise.Rand(a.o.Seed, noise.Schedule, step)
	return []int{a.o.Sites[r.Intn(len(a.o.Sites))]}
}

func (a *activation) Plan(step uint32) []query.Perturbation {
	sites := a.Sites(step)
	var out []query.Perturbation
	for i, s := range sites {
		if a.o.Schedule == "joint" && i > 0 {
			p := &out[0]
			p.Sites, p.Sigma = append(p.Sites, s), append(p.Sigma, a.sigma[s])
			continue
		}
		out = append(out, query.Perturbation{Kind: query.Activation, Step: step, Sites: []int{s}, Sigma: []float32{a.sigma[s]}})
	}
	if len(a.o.Params) > 0 {
		out = append(out, query.Perturbation{Kind: query.Weight, Step: step, Params: a.o.Params, Sigma: []float32{float32(a.o.Sigma)}})
	}
	return out
}

func (a *activation) Ask(ctx context.Context, m query.Model, s *Step) (*Result, error) {
	r := &Result{Variance: make([]float64, s.Batch.N)}
	q := plan(s.Counts, a.o.Antithetic)
	losses := make([]float32, len(q))
	inputs := map[int][]float32{}
	for i, site := range a.Sites(s.Number) {
		inputs[site] = s.Clean.InputSq[i]
	}
	for _, p := range a.Plan(s.Number) {
		if err := m.Losses(ctx, &p, q, losses); err != nil {
			return nil, err
		}
		r.Queries += int64(len(q))
		if p.Kind == query.Weight {
			c := coefficients(q, losses, s.Clean.Losses, p.Sigma[0], a.o.Antithetic)
			d := paramSize(m, p.Params)
			addVariance(r.Variance, s.Counts, c, a.perPair(), func(int) float64 { return d })
			r.FLOPs += int64(len(q)) * m.ForwardFLOPs()
			r.Records, r.Params = append(r.Records, Record{P: p, C: c}), append(r.Params, p.Params...)
			continue
		}
		r.FLOPs += int64(len(q)) * a.sites[p.Sites[0]].FLOPs
		rec := Record{P: p}
		if a.o.Schedule == "joint" {
			rec.C = a.jointCoefficients(q, losses, s.Clean.Losses)
		} else {
			rec.C = coefficients(q, losses, s.Clean.Losses, p.Sigma[0], a.o.Antithetic)
		}
		if a.o.LearnSigma {
			rec.Mean = means(q, losses, s.Clean.Losses, a.perPair())
		}
		for i, site := range p.Sites {
			info := a.sites[site]
			c := rec.C
			if a.o.Schedule == "joint" {
				c = a.jointPairs(rec.C, p.Sigma[i])
			}
			addVariance(r.Variance, s.Counts, c, a.perPair(), func(i int) float64 { return float64(info.Out) * float64(inputs[site][i]) })
			r.Params = append(r.Params, info.Weight, info.Bias)
		}
		r.Records = append(r.Records, rec)
	}
	return r, nil
}

func (a *activation) perPair() int {
	if a.o.Antithetic {
		return 2
	}
	return 1
}

// jointCoefficients are ℓ − b_i of every query. The scale σ differs between the
// sites, so it is divided out where the terms are made.
func (a *activation) jointCoefficients(q []query.Query, losses, clean []float32) []float32 {
	c := make([]float32, len(q))
	for j, x := range q {
		c[j] = losses[j] - clean[x.Image]
	}
	return c
}

// jointPairs are the coefficients c_ip that one site's directions get.
func (a *activation) jointPairs(c []float32, sigma float32) []float32 {
	out := make([]float32, len(c)/a.perPair())
	for j := range out {
		if a.o.Antithetic {
			out[j] = (c[2*j] - c[2*j+1]) / (2 * sigma)
		} else {
			out[j] = c[j] / sigma
		}
	}
	return out
}

func (a *activation) Accumulate(ctx context.Context, m query.Model, s *Step, records []Record) error {
	for i := range records {
		r := &records[i]
		switch {
		case r.P.Kind == query.Weight:
			if err := m.Accumulate(ctx, &r.P, shareDirections(s.Counts, r.C, a.o.Antithetic)); err != nil {
				return err
			}
		case a.o.Schedule == "joint":
			if err := a.accumulateJoint(ctx, m, s, r); err != nil {
				return err
			}
		default:
			if err := m.Accumulate(ctx, &r.P, weigh(s.Counts, r.C, a.o.Antithetic)); err != nil {
				return err
			}
		}
	}
	return nil
}

// accumulateJoint pairs every query's noise with the inputs that the same query
// saw: (1/P_i) Σ_p ½[(ℓ₊−b)/σ·εᵀx₊ − (ℓ₋−b)/σ·εᵀx₋]. The baseline is free: it
// multiplies noise that is independent of the input it meets.
func (a *activation) accumulateJoint(ctx context.Context, m query.Model, s *Step, r *Record) error {
	if len(r.P.Sites) == 1 {
		return m.Accumulate(ctx, &r.P, weigh(s.Counts, a.jointPairs(r.C, r.P.Sigma[0]), a.o.Antithetic))
	}
	q := plan(s.Counts, a.o.Antithetic)
	terms := make([]query.Term, len(q))
	for j, x := range q {
		n := float32(len(s.Counts) * s.Counts[x.Image])
		terms[j] = query.Term{Image: x.Image, Pair: x.Pair, Sign: x.Sign, C: r.C[j] / n}
	}
	return m.Accumulate(ctx, &r.P, terms)
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
		return fmt.Errorf("lr: state of %d sites for an estimator of %d", len(v), len(a.o.Sites))
	}
	for i, s := range a.o.Sites {
		if v[i] <= 0 || math.IsInf(v[i], 0) || math.IsNaN(v[i]) {
			return fmt.Errorf("lr: sigma %v of site %s", v[i], a.sites[s].Name)
		}
		a.sigma[s] = float32(v[i])
	}
	return nil
}

func paramSize(m query.Model, params []int) float64 {
	n := 0
	for _, i := range params {
		n += len(m.Params()[i].Data)
	}
	return float64(n)
}
