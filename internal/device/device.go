// Package device puts networks where a setting says: on the processor, or on a
// kind of device that registers itself. Every command that runs a network opens
// it here, so that train.device and --device mean the same everywhere: the model
// runs there, or the command is refused.
package device

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/directions"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// CPU is the setting of the processor; Auto is the first other device that is
// there, else the processor.
const (
	CPU  = "cpu"
	Auto = "auto"
)

// Model is a network on a device.
type Model = query.Differentiable

// Options of a network on a device. A network that is only evaluated needs the
// loss alone.
type Options struct {
	Threads   int                 // processor: workers, 0 for every core
	Loss      objective.Objective // what a query answers
	Mask      bool                // structural mask of the gradients (docs/method.md)
	Exact     bool                // queries of the weights are answered by forward.Tangent
	Precision string              // of matrix products; empty: fp32
	Noise     *Noise              // the directions of the queries; nil where none are asked
	Warn      func(string)        // takes a line about what the device does without; may be nil
}

// Noise names directions as a config does, so that each device makes them itself.
type Noise struct {
	Kind, QMC string // estimator.noise and estimator.qmc
	Seed      uint64
	// Within are the directions in which the noise of some sites lies (vit.Model.Spans)
	Within map[int]directions.Span
}

// Source makes the directions on the host.
func (n *Noise) Source() (noise.Source, error) {
	src, err := directions.New(n.Kind, n.QMC, n.Seed)
	if err != nil {
		return nil, err
	}
	return directions.Within(src, n.Within), nil
}

// Kind is a kind of device.
type Kind struct {
	// Available says whether there is one, and if not, why.
	Available func() (ok bool, why string)
	// Open puts a network on the device that spec names: the kind's name, or
	// NAME:N for the N-th. Its errors are told to users.
	Open func(spec string, n *vit.Net, o Options) (Model, error)
	// Hint says how to come by such a device.
	Hint string
}

var (
	kinds = map[string]Kind{}
	order []string // in which Auto looks for one
)

// Register adds a kind of device under a name; call it from init. It returns the
// one that had the name before, so that a test can put it back.
func Register(name string, k Kind) (was Kind) {
	was, ok := kinds[name]
	if !ok {
		order = append(order, name)
		config.OfferDevice(name)
	}
	kinds[name] = k
	return was
}

// Settings lists what a device setting may be, for shells and hints.
func Settings() []string {
	out := []string{Auto, CPU}
	for _, name := range order {
		out = append(out, name, name+":1")
	}
	return out
}

// Kinds lists the kinds of devices there may be beside the processor, in the order
// in which Auto looks for one.
func Kinds() []string { return slices.Clone(order) }

// Available says whether there is a device of a kind that Kinds lists, and if not,
// why.
func Available(kind string) (ok bool, why string) { return kinds[kind].Available() }

// Settle is the device that a setting stands for: itself where it is there, and
// for Auto or nothing the first that is. A device that there is not is an
// *uierr.Error.
func Settle(spec string) (string, error) {
	if spec == Auto || spec == "" {
		for _, name := range order {
			if ok, _ := kinds[name].Available(); ok {
				return name, nil
			}
		}
		return CPU, nil
	}
	if spec == CPU {
		return CPU, nil
	}
	k, err := kindOf(spec)
	if err != nil {
		return "", err
	}
	if ok, why := k.Available(); !ok {
		return "", uierr.New(fmt.Sprintf("device %s: %s", spec, why), k.Hint)
	}
	return spec, nil
}

// Elsewhere says that a setting names another device than the processor.
func Elsewhere(spec string) bool { return spec != CPU && spec != Auto && spec != "" }

func kindOf(spec string) (Kind, error) {
	name, _, _ := strings.Cut(spec, ":")
	k, ok := kinds[name]
	if !ok {
		return k, uierr.New(fmt.Sprintf("device %q: there is none of that name", spec),
			"use one of "+strings.Join(Settings(), ", "))
	}
	return k, nil
}

// Open puts a network on the device that a setting stands for.
func Open(spec string, n *vit.Net, o Options) (Model, error) {
	spec, err := Settle(spec)
	if err != nil {
		return nil, err
	}
	if Elsewhere(spec) {
		k, err := kindOf(spec)
		if err != nil {
			return nil, err
		}
		return k.Open(spec, n, o)
	}
	half, err := inHalf(o.Precision)
	if err != nil {
		return nil, err
	}
	var src noise.Source
	if o.Noise != nil {
		if src, err = o.Noise.Source(); err != nil {
			return nil, err
		}
	}
	return vit.NewModel(n, vit.Options{Threads: o.Threads, Noise: src, Loss: o.Loss, Mask: o.Mask, Exact: o.Exact,
		Half: half}), nil
}

// inHalf says whether the processor multiplies in bf16, and refuses what it does not know.
func inHalf(precision string) (half bool, err error) {
	switch precision {
	case "", vit.FP32:
		return false, nil
	case vit.BF16:
		return true, nil
	}
	return false, uierr.New(fmt.Sprintf("precision %s is of a GPU: the processor has fp32 and bf16", precision),
		"use fp32 or bf16, or a GPU by train.device: cuda")
}
