package allocator

import (
	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/settings"
)

// Decay is the neyman allocator's.
var Decay = settings.New("decay", 0.7, "weight of the past in the exponential average", settings.From(0, 0.9999))

func init() {
	Register("uniform", func(o Options) (alloc.Allocator, error) { return alloc.NewUniform(o.Limits()), nil })
	Register("bernoulli", func(o Options) (alloc.Allocator, error) { return alloc.NewBernoulli(o.Limits()), nil })
	Register("gaussian_released", func(o Options) (alloc.Allocator, error) { return alloc.NewReleased(o.Limits()), nil })
	Register("neyman", func(o Options) (alloc.Allocator, error) {
		return alloc.NewNeyman(alloc.NeymanOptions{Limits: o.Limits(), Decay: Decay.Of(o.Own)})
	}).Takes(Decay)
}
