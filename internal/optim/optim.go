// Package optim turns gradients into updates: optimizers behind one registry,
// learning-rate schedules, and gradient clipping. Updates are element by
// element in a fixed order, so that a run repeats bit for bit.
package optim

import (
	"fmt"
	"math"
	"sort"

	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
)

// Options of every optimizer; each reads what concerns it.
type Options struct {
	Momentum    float64
	Beta1       float64
	Beta2       float64
	Eps         float64
	WeightDecay float64
}

// Optimizer updates parameters from their gradients.
type Optimizer interface {
	// Name is the optimizer's name in a config.
	Name() string
	// Step updates the parameters, which all have a gradient, with rate lr.
	Step(params []*query.Param, lr float64)
	// State names what a checkpoint must carry, PARAMETER.kind: tensors of their
	// parameter's shape, or one number. Restore takes them back.
	State() map[string][]float32
	Restore(map[string][]float32) error
}

var builders = map[string]func(Options) Optimizer{}

// Register adds an optimizer under a name; call it from init.
func Register(name string, build func(Options) Optimizer) { builders[name] = build }

// Names lists the registered optimizers.
func Names() []string {
	var n []string
	for k := range builders {
		n = append(n, k)
	}
	sort.Strings(n)
	return n
}

// New makes an optimizer.
func New(name string, o Options) (Optimizer, error) {
	b, ok := builders[name]
	if !ok {
		return nil, uierr.New(fmt.Sprintf("optimizer.name: no optimizer %q", name), fmt.Sprintf("known: %v", Names()))
	}
	return b(o), nil
}

// GradNorm is the Euclidean norm of all gradients together.
func GradNorm(params []*query.Param) float64 {
	var sq float64
	for _, p := range params {
		for _, g := range p.Grad {
			sq += float64(g) * float64(g)
		}
	}
	return math.Sqrt(sq)
}

// Clip scales the gradients down to a norm of at most limit (0: no limit) and
// returns the norm that they had.
func Clip(params []*query.Param, limit float64) float64 {
	n := GradNorm(params)
	if limit > 0 && n > limit {
		f := float32(limit / n)
		for _, p := range params {
			for i := range p.Grad {
				p.Grad[i] *= f
			}
		}
	}
	return n
}
