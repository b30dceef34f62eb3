package allocator

import (
	"fmt"
	"slices"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/uierr"
)

func init() {
	Register("uniform", func(o Options) (alloc.Allocator, error) { return alloc.NewUniform(o.Limits()), nil })
	Register("bernoulli", func(o Options) (alloc.Allocator, error) { return alloc.NewBernoulli(o.Limits()), nil })
	Register("gaussian_released", func(o Options) (alloc.Allocator, error) {
		return alloc.NewReleased(o.Limits()),
			nil
	})
	Register("neyman", func(o Options) (alloc.Allocator, error) {
		return alloc.NewNeyman(alloc.NeymanOptions{Limits: o.Limits(), Decay: o.Decay})
	})
	Register("gaussian", gaussian)
}

// parameters are the names of the gaussian allocator's in allocator.freeze.
var parameters = []string{"w0", "w1", "w2", "w3"}

func gaussian(o Options) (alloc.Allocator, error) {
	if o.Features != "" && o.Features != "loss" && o.Features != "cls" {
		return nil, uierr.New(fmt.Sprintf("%s: no features %q", o.named("features"), o.Features), "use loss or cls")
	}
	g := alloc.GaussianOptions{Limits: o.Limits(), ByFeatures: o.Features == "cls", Start: o.W,
		Fixed: !o.Learn || o.LR == 0, Rate: o.LR}
	for _, f := range o.Freeze {
		k := slices.Index(parameters, f)
		if k < 0 {
			return nil, uierr.New(fmt.Sprintf("%s: no parameter %q", o.named("freeze"), f), "use w0, w1, w2 or w3")
		}
		g.Freeze[k] = true
	}
	return alloc.NewGaussian(g)
}
