// Package objective holds what a run minimises: functions from the outputs of a
// model to one number per image. There is one file per objective, and a
// registry by name.
//
// Forward learning only ever reads those numbers, so an objective need not be
// differentiable, and need not be a formula: anything that maps an image's
// outputs and label to a number that is smaller when the answer is better can
// be trained. To add one, write one file:
//
//	type Margin struct{}
//
//	func init() {
//		objective.Register("margin", func(objective.Options) (objective.Objective, error) { return Margin{}, nil })
//	}
//
//	func (Margin) Name() string { return "margin" }
//	func (Margin) Losses(out, logits []float32, rows, classes int, labels []int32) error { ... }
//
// and name it in a config as `objective: {kind: margin}`. An objective that also
// implements Differentiable can be trained with `estimator: bp`. One whose
// number for an image depends on the other images of the batch implements
// Coupled.
package objective

import (
	"fmt"

	"github.com/flops-vit/flops/internal/settings"
)

// Objective maps a model's outputs to one loss per image. Its methods are
// called from several goroutines at once.
type Objective interface {
	// Name is the objective's name in a config.
	Name() string
	// Losses writes the loss of each row to out[:rows]. logits is rows×classes,
	// row-major; labels[r] is the class of row r, or for a Coupled objective its
	// slot in the batch. The loss of a row depends on that row alone (and, for a
	// Coupled objective, on what Bind and Anchor fixed), so that any packing of
	// queries gives the same bits. Outputs that are not finite give a loss, never
	// a panic; a label that names no class is an error.
	Losses(out, logits []float32, rows, classes int, labels []int32) error
}

// Differentiable is an Objective with a gradient, for `estimator: bp`.
type Differentiable interface {
	Objective
	// Grad writes scale·∂loss_r/∂logits_r to dlogits, rows×classes.
	Grad(dlogits, logits []float32, rows, classes int, labels []int32, scale float32) error
}

// Coupled is an Objective whose loss of an image depends on the other images of
// its batch. labels given to Losses and Grad are then slots in the batch. A
// batch goes: Bind, the clean forward, Anchor, then any number of queries, of
// what Bind returned. Anchor is not to run beside Losses or Grad.
type Coupled interface {
	Objective
	// Bind is the objective of one batch, which the class and the dataset
	// position of each of its images tell; what it is bound from stays as it is.
	// Until Anchor, its Losses give the part of each loss that needs no other
	// image.
	Bind(labels, index []int32) (Coupled, error)
	// Anchor fixes the clean outputs of the whole batch (N×width), against which
	// queries are compared from now on, and writes the N clean losses, whose
	// mean is the batch's objective, to losses.
	Anchor(losses, outputs []float32, width int) error
}

// Bound is an objective of one batch: its images are named by their targets, and
// whatever the objective must know of the other images is its own.
type Bound struct {
	Objective
	Targets []int32 // per image: what Losses and Grad are told of a row that answers it
	coupled Coupled // Objective, where it is one
}

// Bind is an objective of the batch whose images have these classes, of so many,
// and dataset positions.
func Bind(o Objective, labels, index []int32, classes int) (*Bound, error) {
	co, ok := o.(Coupled)
	if !ok {
		for _, l := range labels {
			if l < 0 || int(l) >= classes {
				return nil, fmt.Errorf("objective %s: label %d, the network has %d classes", o.Name(), l, classes)
			}
		}
		return &Bound{Objective: o, Targets: labels}, nil
	}
	co, err := co.Bind(labels, index)
	if err != nil {
		return nil, err
	}
	b := &Bound{Objective: co, coupled: co, Targets: make([]int32, len(labels))}
	for i := range b.Targets {
		b.Targets[i] = int32(i)
	}
	return b, nil
}

// Coupled says that the loss of an image depends on the other images.
func (b *Bound) Coupled() bool { return b.coupled != nil }

// Anchor tells the objective of the clean outputs of the whole batch, of that
// width each, and writes the clean losses where they are then others; it does
// nothing where no image's loss depends on another image.
func (b *Bound) Anchor(losses, outputs []float32, width int) error {
	if b.coupled == nil {
		return nil
	}
	return b.coupled.Anchor(losses, outputs, width)
}

// Options are what objectives are made of that need more than outputs and labels.
type Options struct {
	Texts []float32       // contrastive: text embeddings, one row of Width each
	Width int             // contrastive: values of one embedding
	Own   settings.Values // what single objectives take
}

// Builder makes an objective of its settings.
type Builder func(Options) (Objective, error)

var registry = settings.NewRegistry[Builder]("objective.kind", "objective")

// Register adds an objective under the name that configs use; call it from
// init. A name that is taken panics: two files would answer for one config. What
// it returns takes the settings that the objective reads from Options.Own and
// the numbers that it learns, where it implements settings.Parameters.
func Register(name string, b Builder) *settings.Registration { return registry.Add(name, b) }

// Names lists the registered objectives, sorted.
func Names() []string { return registry.Names() }

// Settings lists what single objectives add to the section objective of a config.
func Settings() []settings.Owned { return registry.Settings() }

// Learned names the numbers that an objective learns.
func Learned(name string) []settings.Param { return registry.Learned(name) }

// New makes an objective with its default settings.
func New(name string) (Objective, error) { return Build(name, Options{}) }

// Build makes an objective of its settings. An unknown name is an *uierr.Error.
func Build(name string, o Options) (Objective, error) {
	build, err := registry.Get(name)
	if err != nil {
		return nil, err
	}
	return build(o)
}

// check refuses rows whose sizes or labels do not fit.
func check(name string, out, logits []float32, rows, classes int, labels []int32, limit int) error {
	if rows < 0 || classes < 1 || len(out) < rows || len(logits) < rows*classes || len(labels) < rows {
		return fmt.Errorf("objective %s: %d rows of %d outputs, but room for %d losses, %d outputs and %d labels",
			name, rows, classes, len(out), len(logits), len(labels))
	}
	for _, l := range labels[:rows] {
		if l < 0 || int(l) >= limit {
			return fmt.Errorf("objective %s: label %d of %d", name, l, limit)
		}
	}
	return nil
}

// Argmax is the position of the largest value, the first of equals; −1 where no
// value is a number.
func Argmax(z []float32) int {
	best := -1
	for k, v := range z {
		if v == v && (best < 0 || v > z[best]) {
			best = k
		}
	}
	return best
}
