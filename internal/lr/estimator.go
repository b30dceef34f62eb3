package lr

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/forward"
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

// Cost is what asking takes.
type Cost struct {
	Queries int64
	FLOPs   int64 // floating-point operations
}

// Estimator turns batches into gradients: as an Asker or as a Differentiator.
type Estimator interface {
	// Name is the estimator's name in a config.
	Name() string
	// Cost is what a step of so many images takes beside its forward where every
	// perturbation has so many queries.
	Cost(m query.Model, step uint32, images, queries int64) Cost
	// State and Restore carry what it learned through a checkpoint.
	State() []float64
	Restore([]float64) error
}

// Asker is an Estimator that plans perturbations and asks queries of a clean pass.
type Asker interface {
	Estimator
	forward.Asker
}

// Differentiator is an Estimator that makes the clean pass itself and hands over
// a gradient.
type Differentiator interface {
	Estimator
	// Gradient adds the gradient of a batch's mean loss to Param.Grad and returns
	// the clean pass, the parameters that have a gradient, and what it cost beside
	// the forward.
	Gradient(ctx context.Context, m query.Model, b *forward.Batch) (*forward.Clean, []int, Cost, error)
}

// Plan lists a step's perturbations of an estimator, none of one that asks no
// queries.
func Plan(e Estimator, step uint32) []forward.Perturbation {
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

// Traits of estimators.
const (
	Silent  settings.Trait = "asks no queries" // a Differentiator
	AtSites settings.Trait = "perturbs sites"  // and has nothing to do where there are none
)

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
func Register(name string, build func(m query.Model, o Options) (Estimator, error),
	schedules ...string) *settings.Registration {
	return registry.Add(name, registration{build, schedules})
}

// Names lists the registered estimators.
func Names() []string { return registry.Names() }

// Is says whether an estimator has a trait.
func Is(name string, t settings.Trait) bool { return registry.Is(name, t) }

// Those lists the estimators with a trait.
func Those(t settings.Trait) []string { return registry.Those(t) }

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
		return nil, uierr.New(fmt.Sprintf("estimator.schedule: the %s estimator has no schedule %q", name,
			o.Schedule), hint)
	}
	return r.build(m, o)
}
