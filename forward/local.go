package forward

import (
	"context"
	"fmt"
	"slices"
)

// local is learned feedback through the layers of a network, docs/method.md (17) to
// (22): one query of an image adds noise to the row that is read of every layer's
// output at once, and says how all outputs changed. From that it learns J_b, the mean
// Jacobian of the outputs by that row, and predicts the gradient there, J_bᵀ e_i. What
// lies inside one layer, its own parameters and the other rows of its input, follows
// by that layer's own derivative; no derivative crosses two layers.
type local struct {
	o      LocalOptions
	m      Model
	layers []Layer
	exact  []int // sites whose gradient is known without a query
	f      *Feedback
	w      workspace
}

// LocalOptions tune Local. Sites and Params are indices into the model's.
type LocalOptions struct {
	Options
	Kappa  float64 // share of what the queries say besides the prediction, 0 to 1; below 0: of least error, by halves
	Gain   float64 // of the learning of J, below 2
	Scaled bool    // predictions are scaled by how far they agree with the queries
	Weigh  bool    // J is learned most from items of large error
	Warmup uint32  // steps that only learn J
}

// Local makes the estimator of the layers whose outputs the sites of o are. Other sites
// of o are the map to the outputs, whose gradient is known, and maps inside the layers,
// which go with these. o.Params says what is trained.
func Local(m Model, o LocalOptions) (*Estimator, error) {
	if err := o.check(m, "joint", "per_site", "random_site"); err != nil {
		return nil, err
	}
	l := &local{o: o, m: m}
	lm, ok := As[Layered](m)
	if !ok {
		return nil, &OptionError{"Sites", "of a model without layers", "use Activation"}
	}
	known, inside := known(m, o.Sites), map[int]bool{}
	var sites []int
	for _, s := range o.Sites {
		if at, ok := lm.Layer(s); ok {
			own := at.Params[:0:0]
			for _, p := range at.Params {
				if slices.Contains(o.Params, p) && !inside[p] {
					own, inside[p] = append(own, p), true
				}
			}
			at.Params, sites = own, append(sites, s)
			l.layers = append(l.layers, at)
		} else if known[s] {
			l.exact = append(l.exact, s)
		}
	}
	if len(sites) == 0 {
		return nil, &OptionError{"Sites", "no layer's output", "name the outputs of layers of a model whose outputs are made of one row"}
	}
	for _, s := range o.Sites {
		for _, p := range m.Sites()[s].Params() {
			if !inside[p] && !slices.Contains(l.exact, s) {
				return nil, &OptionError{"Sites", m.Sites()[s].Name, "it is part of no layer whose output is among the sites"}
			}
		}
	}
	l.o.Sites = sites
	l.f = newFeedback(sites, l.layers)
	return NewEstimator(m, l), nil
}

func (l *local) Name() string { return "activation" }

func (l *local) perPair() int { return l.o.perPair() }

// Sites are the layers' outputs and the map to the outputs.
func (l *local) Sites(uint32) []int { return append(slices.Clone(l.o.Sites), l.exact...) }

func (l *local) Plan(step uint32) []Perturbation {
	p := Perturbation{Kind: Layers, Step: step, Sites: l.o.Sites}
	for _, at := range l.layers {
		p.Sigma, p.Params = append(p.Sigma, float32(l.o.Sigma)), append(p.Params, at.Params...)
	}
	return []Perturbation{p}
}

// Ask records y of every direction: the change of each output by it, over σ.
func (l *local) Ask(ctx context.Context, m Model, s *Step) (*Result, error) {
	pass, ok := PassAs[Chained](s.Pass)
	if !ok {
		return nil, fmt.Errorf("forward: a %T has no layers", s.Pass)
	}
	p, share, C := l.Plan(s.Number)[0], s.share(0), s.Clean.Classes
	q, losses := l.w.plan(share.Counts, l.o.Antithetic)
	outputs := make([]float32, len(q)*C)
	if err := pass.Outputs(ctx, &p, q, losses, outputs); err != nil {
		return nil, err
	}
	rec := Record{Perturbation: p, Coefs: make([]float32, len(q)/l.perPair()*C)}
	if s.Shares != nil {
		rec.Share = &share
	}
	sigma := float32(l.o.Sigma)
	for j := 0; j < len(q); j += l.perPair() {
		y := rec.Coefs[j/l.perPair()*C:][:C]
		from, over := s.Clean.Logits[int(q[j].Image)*C:], sigma
		if l.o.Antithetic {
			from, over = outputs[(j+1)*C:], 2*sigma
		}
		for c := range y {
			y[c] = (outputs[j*C+c] - from[c]) / over
		}
	}
	r := &Result{Queries: int64(len(q)), FLOPs: int64(len(q)) * QueryFLOPs(m, p), Records: []Record{rec}}
	for _, at := range l.layers {
		r.FLOPs += int64(s.Batch.Size) * at.FLOPs
	}
	for _, site := range l.exact {
		r.Records = append(r.Records, Record{Perturbation: Perturbation{Kind: Outputs, Step: s.Number, Sites: []int{site}}})
	}
	return r, nil
}

func (l *local) Accumulate(ctx context.Context, s *Step, records []Record) error {
	for i := range records {
		r := &records[i]
		var err error
		switch {
		case r.Perturbation.Kind == Layers:
			err = l.accumulate(ctx, s, r)
		case s.Number >= l.o.Warmup:
			err = accumulateOutputs(ctx, s.Pass, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// accumulate adds the gradient of the layers from the last to the first.
func (l *local) accumulate(ctx context.Context, s *Step, r *Record) error {
	pass, ok := PassAs[Chained](s.Pass)
	if !ok {
		return fmt.Errorf("forward: a %T has no layers", s.Pass)
	}
	at, err := l.f.gradient(&l.o, s, r)
	if err != nil || s.Number < l.o.Warmup {
		return err
	}
	var rest []float32
	for b := len(l.layers) - 1; b >= 0; b-- {
		x := &l.layers[b]
		var below []float32
		if b > 0 && x.Rows > 0 {
			below = make([]float32, s.Batch.Size*x.Rows*l.layers[b-1].Width)
		}
		if err := pass.AccumulateLayer(ctx, l.o.Sites[b], at[b], rest, x.Params, below); err != nil {
			return err
		}
		if rest != nil {
			for i := range below {
				below[i] += rest[i]
			}
		}
		rest = below
	}
	return nil
}

// Variance is that of what the predictions leave: mean_p r_ip² times the noise's
// dimensions.
func (l *local) Variance(_ Model, s *Step, records []Record) []float64 {
	r := &records[0]
	dims := 0
	for _, x := range l.layers {
		dims += x.Width
	}
	return variance(s.shareOf(r).Counts, r.Left, l.perPair(), func(int) float64 { return float64(dims) })
}

// Learn has the feedback take in what Accumulate left of the step.
func (l *local) Learn(s *Step, records []Record) error {
	l.f.learn(&l.o, s, &records[0])
	return nil
}

// Surrogate is what predicts.
func (l *local) Surrogate() Surrogate { return l.f }

// State is empty: what is learned is the surrogate's.
func (l *local) State() []float64 { return nil }

func (l *local) Restore(v []float64) error {
	if len(v) != 0 {
		return fmt.Errorf("forward: state of %d numbers for an estimator of none", len(v))
	}
	return nil
}
