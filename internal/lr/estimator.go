package lr

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// Options choose and tune an estimator. Sites and Params are indices into the
// model's.
type Options struct {
	Schedule   string  // see each estimator
	Antithetic bool    // pairs ±ε instead of single directions with a baseline
	Sigma      float64 // scale of the noise
	Sites      []int   // sites trained
	Params     []int   // every parameter that is trained
	Direct     []int   // those of them that no site has: norms, embeddings
	Seed       uint64
	Noise      noise.Source
	Own        settings.Values // what single estimators take
}

// Record is one perturbation of a step as it went: enough to rebuild its
// gradient without asking the model again.
type Record struct {
	Perturbation query.Perturbation
	Coefs        []float32 // image by image, direction by direction: c_ip, or ℓ−b of each query where Joint
	// Mean is the mean loss of each direction's queries less the clean loss; nil
	// unless the scale is learned, which alone reads it.
	Mean []float32
}

// Joint says that several sites were noisy at once. Coefs then holds what each query
// said, ℓ−b, and not the direction's c_ip: the scale σ differs between the sites,
// and each query's noise meets the inputs that the same query saw.
func (r Record) Joint() bool { return len(r.Perturbation.Sites) > 1 }

// PerDirection is the number of coefficients in Coefs of one direction.
func (r Record) PerDirection(antithetic bool) int {
	if r.Joint() && antithetic {
		return 2
	}
	return 1
}

// Result is what a step's queries said.
type Result struct {
	Queries  int64
	FLOPs    int64
	Records  []Record
	Variance []float64 // V̂_i of one direction of each image, up to one common constant
}

// Estimator turns batches into gradients: as an Asker or as a Differentiator.
type Estimator interface {
	// Name is the estimator's name in a config.
	Name() string
	// Cost is what a step takes beside its forward where every image gets so many
	// queries per perturbation.
	Cost(m query.Model, step uint32, images, queries int64) Entry
	// State and Restore carry what it learned through a checkpoint.
	State() []float64
	Restore([]float64) error
}

// Asker is an Estimator that plans perturbations and asks queries of a clean pass.
type Asker interface {
	Estimator
	// Sites lists the sites whose clean activations a step needs.
	Sites(step uint32) []int
	// Plan lists a step's perturbations, at least one; each gets every image's
	// queries.
	Plan(step uint32) []query.Perturbation
	// Ask evaluates the queries of a step.
	Ask(ctx context.Context, m query.Model, s *Step) (*Result, error)
	// Accumulate adds the gradient that the records describe to Param.Grad.
	// Calling it on recorded coefficients rebuilds a step bit for bit.
	Accumulate(ctx context.Context, s *Step, records []Record) error
	// Learn updates what the estimator itself learns, after Accumulate.
	Learn(s *Step, records []Record)
}

// Differentiator is an Estimator that makes the clean pass itself and hands over
// a gradient.
type Differentiator interface {
	Estimator
	// Gradient adds the gradient of a batch's mean loss to Param.Grad and returns
	// the clean pass, the parameters that have a gradient, and what it cost beside
	// the forward.
	Gradient(ctx context.Context, m query.Model, b *query.Batch) (*query.Clean, []int, Entry, error)
}

// Plan lists a step's perturbations of an estimator, none of one that asks no
// queries.
func Plan(e Estimator, step uint32) []query.Perturbation {
	if a, ok := e.(Asker); ok {
		return a.Plan(step)
	}
	return nil
}

// Sites lists the sites whose clean activations a step of an estimator needs, none
// of one that asks no queries.
func Sites(e Estimator, step uint32) []int {
	if a, ok := e.(Asker); ok {
		return a.Sites(step)
	}
	return nil
}

// planCost is the cost of a plan's queries.
func planCost(m query.Model, plan []query.Perturbation, images, queries int64) (s Entry) {
	for _, p := range plan {
		s.Queries += images * queries
		s.FLOPs += images * queries * QueryFLOPs(m, p)
	}
	return s
}

// QueryFLOPs is the cost of one query of a perturbation: what follows the first
// noisy site or, where weights are perturbed, what the model computes again.
func QueryFLOPs(m query.Model, p query.Perturbation) int64 {
	if p.Kind == query.Weight {
		if r, ok := m.(query.Resumable); ok {
			return r.WeightFLOPs()
		}
		return m.ForwardFLOPs()
	}
	return m.Sites()[p.Sites[0]].FLOPs
}

// registration is an estimator as config knows it.
type registration struct {
	build     func(m query.Model, o Options) (Estimator, error)
	schedules []string
}

// registry holds every estimator: one file and one line each.
var registry = settings.NewRegistry[registration]("estimator.name", "estimator")

// Register adds an estimator under a name, with the schedules that it knows, the
// default one first; none where it has no choice of them. Call it from init.
// Options.Schedule is one of them when build is called. What it returns takes
// the settings that the estimator reads from Options.Own and the numbers that it
// learns, where it implements settings.Parameters.
func Register(name string, build func(m query.Model, o Options) (Estimator, error), schedules ...string) *settings.Registration {
	return registry.Add(name, registration{build, schedules})
}

// Names lists the registered estimators.
func Names() []string { return registry.Names() }

// Settings lists what single estimators add to the section estimator of a config.
func Settings() []settings.Owned { return registry.Settings() }

// Learned names the numbers that an estimator learns.
func Learned(name string) []settings.Param { return registry.Learned(name) }

// Schedules lists the values of estimator.schedule that an estimator knows, the
// default one first.
func Schedules(name string) []string {
	r, _ := registry.Get(name) // without one, there are none
	return r.schedules
}

// AllSchedules lists those of every estimator.
func AllSchedules() []string {
	var out []string
	for _, n := range Names() {
		for _, s := range Schedules(n) {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// New makes an estimator for a model.
func New(name string, m query.Model, o Options) (Estimator, error) {
	r, err := registry.Get(name)
	switch {
	case err != nil:
		return nil, err
	case o.Schedule == "" && len(r.schedules) > 0:
		o.Schedule = r.schedules[0]
	case o.Schedule != "" && !slices.Contains(r.schedules, o.Schedule):
		hint := "leave estimator.schedule out"
		if len(r.schedules) > 0 {
			hint = "use " + strings.Join(r.schedules, ", ")
		}
		return nil, uierr.New(fmt.Sprintf("estimator.schedule: the %s estimator has no schedule %q", name, o.Schedule), hint)
	}
	return r.build(m, o)
}

// workspace is the memory that an estimator uses again at every step, so that
// memory does not grow with the queries of a run.
type workspace struct {
	q      []query.Query
	losses []float32
	terms  []query.Term
}

// plan lists the queries of one perturbation, with room for their losses; both
// last until the next call.
func (w *workspace) plan(counts []int, antithetic bool) ([]query.Query, []float32) {
	w.q = plan(w.q, counts, antithetic)
	if cap(w.losses) < len(w.q) {
		w.losses = make([]float32, len(w.q))
	}
	return w.q, w.losses[:len(w.q)]
}

// weigh lists the terms of the gradient, which last until the next call.
func (w *workspace) weigh(counts []int, c []float32, antithetic bool) []query.Term {
	w.terms = weigh(w.terms, counts, c, antithetic)
	return w.terms
}

// pairs is the number P_i of directions of an image with n queries.
func pairs(n int, antithetic bool) int {
	if antithetic {
		return n / 2
	}
	return n
}

// plan lists the queries of one perturbation into q: image by image, pair by
// pair, + before −.
func plan(q []query.Query, counts []int, antithetic bool) []query.Query {
	q = q[:0]
	for i, n := range counts {
		for p := 0; p < pairs(n, antithetic); p++ {
			q = append(q, query.Query{Image: int32(i), Pair: int32(p), Sign: 1})
			if antithetic {
				q = append(q, query.Query{Image: int32(i), Pair: int32(p), Sign: -1})
			}
		}
	}
	return q
}

// coefficients turns losses into c_ip: (ℓ₊−ℓ₋)/2σ for a pair, (ℓ−b_i)/σ with
// the clean loss as baseline for a single direction.
func coefficients(q []query.Query, losses, clean []float32, sigma float32, antithetic bool) []float32 {
	if !antithetic {
		c := make([]float32, len(q))
		for j, x := range q {
			c[j] = (losses[j] - clean[x.Image]) / sigma
		}
		return c
	}
	c := make([]float32, len(q)/2)
	for j := range c {
		c[j] = (losses[2*j] - losses[2*j+1]) / (2 * sigma)
	}
	return c
}

// weigh turns coefficients into terms with the weight 1/(B·P_i) that keeps the
// estimate unbiased for every allocation.
func weigh(t []query.Term, counts []int, c []float32, antithetic bool) []query.Term {
	t = t[:0]
	B := float32(len(counts))
	j := 0
	for i, n := range counts {
		P := pairs(n, antithetic)
		for p := 0; p < P; p++ {
			if c[j] != 0 { // a direction that changed nothing adds nothing
				t = append(t, query.Term{Image: int32(i), Pair: int32(p), Coef: c[j] / (B * float32(P))})
			}
			j++
		}
	}
	return t
}
