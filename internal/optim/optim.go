// Package optim turns gradients into updates: optimizers behind one registry,
// learning-rate schedules, and gradient clipping. Sums are made in
// a fixed order whatever the number of workers, so that a run repeats bit for bit.
package optim

import (
	"math"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
)

// Options of every optimizer.
type Options struct {
	WeightDecay float64         // decoupled decay of the weights of linear maps, per unit of rate
	Workers     int             // goroutines of one that multiplies matrices; no number depends on it
	Own         settings.Values // what single optimizers take
}

// Optimizer updates parameters from their gradients.
type Optimizer interface {
	// Name is the optimizer's name in a config.
	Name() string
	// Step updates the parameters, which all have a gradient, with rate lr.
	Step(params []*forward.Param, lr float64)
	// State names what a checkpoint must carry, PARAMETER.kind: tensors of their
	// parameter's shape, or one number. Restore takes them back.
	State() map[string][]float32
	Restore(map[string][]float32) error
}

// Ruled is an Optimizer whose steps a model can take where it keeps its parameters
// (query.Updating).
type Ruled interface {
	Optimizer
	// Kind is that of its rules, and kept how many tensors each has.
	Kind() (kind string, kept int)
	// Rules is what Step would do, which counts as done. Rule.Param is the caller's.
	Rules(params []*forward.Param, lr float64) []query.Rule
}

var registry = settings.NewRegistry[func(Options) Optimizer]("optimizer.name", "optimizer")

// Register adds an optimizer under a name; call it from init. What it returns
// takes the settings that the optimizer reads from Options.Own, the tensors that
// its State names and the numbers that it learns, where it implements
// settings.Parameters.
func Register(name string, build func(Options) Optimizer) *settings.Registration {
	return registry.Add(name, build)
}

// Names lists the registered optimizers.
func Names() []string { return registry.Names() }

// Settings lists what single optimizers add to the section optimizer of a config.
func Settings() []settings.Owned { return registry.Settings() }

// Learned names the numbers that an optimizer learns.
func Learned(name string) []settings.Param { return registry.Learned(name) }

// Kept names the tensors that an optimizer keeps of each parameter: State has
// them as PARAMETER.NAME.
func Kept(name string) []settings.Param { return registry.Kept(name) }

// New makes an optimizer. An unknown name is an *uierr.Error.
func New(name string, o Options) (Optimizer, error) {
	build, err := registry.Get(name)
	if err != nil {
		return nil, err
	}
	return build(o), nil
}

// GradNorm is the Euclidean norm of all gradients together.
func GradNorm(params []*forward.Param) float64 {
	var sq float64
	for _, p := range params {
		for _, g := range p.Grad {
			sq += float64(g) * float64(g)
		}
	}
	return math.Sqrt(sq)
}

// Shrink is what brings gradients of a norm down to at most limit (0: no limit).
func Shrink(norm, limit float64) float32 {
	if limit > 0 && norm > limit {
		return float32(limit / norm)
	}
	return 1
}

// Clip scales the gradients down to a norm of at most limit (0: no limit) and
// returns the norm that they had.
func Clip(params []*forward.Param, limit float64) float64 {
	n := GradNorm(params)
	if f := Shrink(n, limit); f != 1 {
		for _, p := range params {
			for i := range p.Grad {
				p.Grad[i] *= f
			}
		}
	}
	return n
}
