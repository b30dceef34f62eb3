package forward

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/flops-vit/flops/noise"
)

// Options choose and tune an estimator. Sites and Params are indices into the
// model's.
type Options struct {
	Schedule    string  // of the noise in a step; empty: the first that Activation or Weight names
	Antithetic  bool    // pairs ±ε instead of single directions with a baseline
	Sigma       float64 // scale of the noise, above 0
	LearnSigma  bool    // Activation: follow ∂/∂log σ of each site
	SigmaRate   float64 // of that
	Sites       []int   // Activation: the perturbed sites
	ExactOutput bool    // Activation: where the model knows it (Known), the gradient by its outputs asks no query
	// Params are perturbed directly. Weight: none means every one. Activation:
	// those that are part of no site, such as norms and embeddings.
	Params []int
	// Surrogate, where it is not nil, predicts at sites that are perturbed one at a time.
	// Activation only.
	Surrogate Surrogate
	// Shown asks queries where the surrogate predicts for the outputs and not for the
	// loss alone, from which it learns more. Of a Pass that is Showing, and a loss with a
	// derivative by the outputs.
	Shown bool
	Seed  uint64       // of what is drawn besides the noise
	Noise noise.Source // LearnSigma: that of the model
}

// check refuses what no estimator can work with.
func (o *Options) check(m Model, schedules ...string) error {
	if o.Schedule == "" {
		o.Schedule = schedules[0]
	}
	switch {
	case !slices.Contains(schedules, o.Schedule):
		return &OptionError{"Schedule", fmt.Sprintf("%q", o.Schedule), "use " + strings.Join(schedules, ", "), nil}
	case !(o.Sigma > 0) || math.IsInf(o.Sigma, 1):
		return &OptionError{"Sigma", fmt.Sprint(o.Sigma), "choose a scale above 0, such as 0.01", nil}
	case o.LearnSigma && o.Noise == nil:
		return &OptionError{"Noise", "nil", "give the model's source, which LearnSigma reads", nil}
	}
	for _, f := range []struct {
		option string
		list   []int
		n      int
	}{{"Sites", o.Sites, len(m.Sites())}, {"Params", o.Params, len(m.Params())}} {
		for _, i := range f.list {
			if i < 0 || i >= f.n {
				return &OptionError{f.option, fmt.Sprint(i), fmt.Sprintf("the model has %d of them, from 0", f.n), nil}
			}
		}
	}
	return nil
}

// perPair is the number of queries of one direction.
func (o *Options) perPair() int {
	if o.Antithetic {
		return 2
	}
	return 1
}

// OptionError is an option that an estimator cannot work with.
type OptionError struct {
	Option string // name of the field
	Is     string // what it is
	Want   string // what to give instead
	Reason error  // of Local and Shared, one of those of this package; else nil
}

// Unwrap is the reason.
func (e *OptionError) Unwrap() error { return e.Reason }

// Error names the option.
func (e *OptionError) Error() string { return "forward: " + e.Option + ": " + e.Is + ": " + e.Want }

// Step is one batch with its clean pass and the queries that each item got.
type Step struct {
	Number uint32
	Batch  *Batch
	Pass   Pass   // of which the queries are asked; nil where the gradient came otherwise
	Clean  *Clean // what the clean pass answered
	Counts []int  // n_i, of every perturbation
	// Chance is that with which each item was drawn to have its queries; nil where
	// every item has some.
	Chance []float32
	// Shares are those of each perturbation of the plan, where they differ; nil:
	// all are Counts and Chance.
	Shares []Share
}

// Begin runs the clean pass of a step.
func Begin(ctx context.Context, m Model, a Asker, number uint32, b *Batch) (*Step, error) {
	p, err := m.Clean(ctx, b, a.Sites(number))
	if err != nil {
		return nil, err
	}
	return &Step{Number: number, Batch: b, Pass: p, Clean: p.Clean()}, nil
}

// Record is one perturbation of a step as it went: enough to rebuild its
// gradient without asking the model again.
type Record struct {
	Perturbation Perturbation
	// Coefs are image by image, direction by direction: c_ip, or ℓ−b of each query where
	// Joint, or of Changes and Layers the change of every output by the direction, over σ.
	Coefs []float32
	// Mean is the mean loss of each direction's queries less the clean loss; nil
	// unless the scale is learned, which alone reads it.
	Mean []float32
	// Share is the record's own, where the step's perturbations differ; nil: the
	// step's.
	Share *Share
	// Left is what is left of each of Coefs beside what a surrogate predicted of it;
	// nil where none did. Accumulate makes it; a file need not keep it.
	Left  []float32
	items []int32 // where Wide: the item of each direction; made with Left
}

// Joint says that several sites were noisy at once. Coefs then holds what each query
// said, ℓ−b, and not the direction's c_ip: the scale σ differs between the sites,
// and each query's noise meets the inputs that the same query saw.
func (r Record) Joint() bool {
	return r.Perturbation.Kind == Activations && len(r.Perturbation.Sites) > 1
}

// Wide says that Coefs has a number for every output of a direction.
func (r Record) Wide() bool { return r.Perturbation.Kind == Layers || r.Perturbation.Kind == Changes }

// PerDirection is the number of coefficients in Coefs of one direction, except of
// those that are Wide, where it is the number of the outputs.
func (r Record) PerDirection(antithetic bool) int {
	if r.Joint() && antithetic {
		return 2
	}
	return 1
}

// Result is what a step's queries said.
type Result struct {
	Queries int64
	FLOPs   int64
	Records []Record
	// Of Estimator.Step alone:
	Variance []float64 // V̂_i of one direction of each image, up to one common constant; NaN: not asked
	Params   []int     // parameters that have a gradient
	Losses   []float32 // of the clean pass
	Counts   []int     // queries of each item and perturbation
}

// Touched are the parameters that records give a gradient: those that a perturbation
// names, and those of its sites, of which the outputs of layers say themselves which get one.
func Touched(m Model, records []Record) []int {
	var out []int
	for _, r := range records {
		out = append(out, r.Perturbation.Params...)
		if r.Perturbation.Kind == Layers {
			continue
		}
		for _, site := range r.Perturbation.Sites {
			out = append(out, m.Sites()[site].Params()...)
		}
	}
	return out
}

// Asker plans perturbations and asks queries of a clean pass: what an estimator does
// in a step.
type Asker interface {
	// Name is a short name, "weight".
	Name() string
	// Sites lists the sites whose clean activations a step needs.
	Sites(step uint32) []int
	// Plan lists a step's perturbations, each of which has its queries; none where
	// all of the gradient is known.
	Plan(step uint32) []Perturbation
	// Ask evaluates the queries of a step.
	Ask(ctx context.Context, m Model, s *Step) (*Result, error)
	// Answered is the result of a step whose records are known already, with what they
	// took when they were asked.
	Answered(m Model, s *Step, records []Record) *Result
	// Accumulate adds the gradient that the records describe to Param.Grad.
	// Calling it on recorded coefficients rebuilds a step bit for bit.
	Accumulate(ctx context.Context, s *Step, records []Record) error
	// Variances are V̂_i, the variance of one direction's contribution of each item, up
	// to one common constant, of every record, from records that Accumulate has seen;
	// nil of one that asked nothing, NaN where an item was not asked.
	Variances(m Model, s *Step, records []Record) [][]float64
	// StepCost is the queries and the floating-point operations of a step, beside its clean
	// pass, that asks so many queries a perturbation of so many items in all.
	StepCost(m Model, step uint32, items, queries int64) (asked, flops int64)
	// Learn updates what the estimator itself learns, after Accumulate of the same
	// records.
	Learn(s *Step, records []Record) error
	// State and Restore carry what it learned through a checkpoint.
	State() []float64
	Restore([]float64) error
}
