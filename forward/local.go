package forward

import (
	"context"
	"fmt"
	"slices"
)

// local is learned feedback through the layers of a network (docs/method.md, "The
// outputs of whole blocks"): one query of an image adds noise to the row that is read of
// every layer's output at once, and says how all outputs changed. From that it learns J_b,
// the mean Jacobian of the outputs by that row, or by how much it differs from what is known
// after the last layer, and predicts the gradient there. What lies inside one layer, its own
// parameters and the other rows of its input, follows by that layer's own derivative; no
// derivative crosses two layers.
type local struct {
	o      LocalOptions
	m      Model
	layers []Layer
	exact  []int // sites whose gradient is known without a query
	last   []int // the last layer's output, where predictions begin above it and it is none of the sites
	top    []int // parameters after the layers, whose gradient is known too
	end    []int // the last layer's output
	f      *Feedback
	q      []Query
	losses []float32
	rest   [2][]float32
	at     []float32
	drawn  []float32 // the rows of rest that are drawn
	rows   []int32   // which these are
}

// LocalOptions tune Local. Sites and Params are indices into the model's.
type LocalOptions struct {
	Options
	Kappa  float64 // share of what the queries say besides the prediction, 0 to 1; below 0: of least error, by halves
	Gain   float64 // of the learning of J, below 2
	Scaled bool    // predictions are scaled by how far they agree with the queries
	Weigh  bool    // J is learned most from items of large error
	Warmup uint32  // steps that only learn J
	// Above begins predictions with the gradient after the last layer, which is known:
	// what is learned of the layers below it is how they differ from it.
	Above bool
	// RowAlone leaves out what goes from a layer to the other rows of its input: a
	// layer's parameters then have the gradient through its own row alone, at a
	// fraction of the operations.
	RowAlone bool
	// Derivative is what of a layer's own derivative is used.
	Derivative Derivative
	// Rows, between 0 and 1, is the share of the other rows of a layer's output that its
	// parameters get a gradient through, weighed by how likely each was drawn; 0: all.
	Rows float64
}

// Derivative is what local feedback uses of a layer's own derivative.
type Derivative int

// What may be used. Without a layer's own the feedback alone says what is learned, at the
// row that is read, by the maps whose outputs are added to it (Layer.Adds).
const (
	OwnDerivative    Derivative = iota // a layer's, of all that lies within it
	LinearDerivative                   // a layer is taken to pass the row on as it is, as its residual connections do
	NoDerivative                       // the map that adds to the row last has the row's gradient, and no other has one
)

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
		return nil, &OptionError{"Sites", "of a model without layers", "use Activation", ErrUnlayered}
	}
	if err := graded(m); err != nil {
		return nil, err
	}
	if err := l.chain(lm); err != nil {
		return nil, err
	}
	if err := l.straighten(); err != nil {
		return nil, err
	}
	l.f = newFeedback(&l.o, l.layers)
	return NewEstimator(m, l), nil
}

func (l *local) Name() string { return "activation" }

func (l *local) perPair() int { return l.o.perPair() }

// Sites are the layers' outputs and the map to the outputs.
func (l *local) Sites(uint32) []int { return slices.Concat(l.o.Sites, l.exact, l.last) }

// Plan is one perturbation of all layers whose gradient is not known; its parameters
// are those that get one, none while the feedback warms up.
func (l *local) Plan(step uint32) []Perturbation {
	p := Perturbation{Kind: Layers, Step: step}
	for b, at := range l.layers {
		if !l.f.known[b] {
			p.Sites, p.Sigma = append(p.Sites, l.o.Sites[b]), append(p.Sigma, float32(l.o.Sigma))
		}
		for _, own := range at.Params {
			if step >= l.o.Warmup && !slices.Contains(p.Params, own) {
				p.Params = append(p.Params, own)
			}
		}
	}
	if step >= l.o.Warmup {
		p.Params = append(p.Params, l.top...)
	}
	return []Perturbation{p}
}

// Ask records y of every direction: the change of each output by it, over σ.
func (l *local) Ask(ctx context.Context, m Model, s *Step) (*Result, error) {
	p, share, C := l.Plan(s.Number)[0], s.share(0), s.Clean.Classes
	l.q = Planned(l.q, 0, share.Counts, l.o.Antithetic)
	q := l.q
	l.losses = room(l.losses, len(q)*(C+1))
	losses, outputs := l.losses[:len(q)], l.losses[len(q):]
	if err := askAll(ctx, s.Pass, []Questions{{&p, q, losses, outputs}}); err != nil {
		return nil, err
	}
	rec := s.record(0, p)
	rec.Coefs = changes(s, q, outputs, float32(l.o.Sigma), l.o.Antithetic)
	records := []Record{rec}
	if s.Number >= l.o.Warmup {
		for _, site := range l.exact {
			p := Perturbation{Kind: Outputs, Step: s.Number, Sites: []int{site}}
			records = append(records, Record{Perturbation: p})
		}
	}
	return l.Answered(m, s, records), nil
}

// Answered implements Asker.
func (l *local) Answered(m Model, s *Step, records []Record) *Result {
	r := &Result{Records: records, Queries: askedQueries(s.ShareOf(&records[0]))}
	_, r.FLOPs = l.StepCost(m, s.Number, int64(s.Batch.Size), r.Queries)
	return r
}

// StepCost implements Asker. Norms are left out everywhere.
func (l *local) StepCost(m Model, step uint32, items, queries int64) (asked, flops int64) {
	flops = queries*QueryFLOPs(m, l.Plan(step)[0]) + l.topFLOPs(m, step, items, queries)
	if step < l.o.Warmup {
		return queries, flops
	}
	for b, x := range l.layers {
		k := l.some(b)
		switch {
		case l.o.Derivative != OwnDerivative:
			flops += items * x.AgainFLOPs
			for _, a := range x.Adds {
				flops += items * a.FLOPs
			}
		case b == len(l.layers)-1 || !l.below(b+1):
			flops += items * x.RowFLOPs
		case k > 0:
			flops += items * (x.RowFLOPs + (x.AllFLOPs-x.RowFLOPs)*int64(k)/int64(x.Outs-1))
		default:
			flops += items * x.AllFLOPs
		}
		if l.below(b) {
			flops += items * x.BelowFLOPs
			if k == 0 && b < len(l.layers)-1 {
				flops += items * x.AgainFLOPs
			}
		}
	}
	for _, site := range l.exact {
		flops += items * SumFLOPs(m, site)
	}
	return queries, flops
}

// topFLOPs is the cost of what comes after the layers, less its products of weights that are
// counted by their sites: computed again and differentiated where its gradient is wanted,
// and twice for every direction where predictions begin with it.
func (l *local) topFLOPs(m Model, step uint32, items, queries int64) (n int64) {
	for _, site := range l.end {
		after := m.Sites()[site].FLOPs
		if l.o.Above || len(l.top) > 0 && step >= l.o.Warmup {
			n += 2 * items * after
		}
		if l.o.Above {
			n += 2 * queries / int64(l.perPair()) * after
		}
	}
	return n
}

// Variances implements Asker: of what the predictions leave, mean_p r_ip² times the
// noise's dimensions.
func (l *local) Variances(_ Model, s *Step, records []Record) [][]float64 {
	out := make([][]float64, len(records))
	for k := range records {
		if r := &records[k]; r.Perturbation.Kind == Layers {
			dims, _ := l.f.dims()
			out[k] = variance(s.ShareOf(r).Counts, r.Left, l.perPair(), func(int) float64 { return float64(dims) })
		}
	}
	return out
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
