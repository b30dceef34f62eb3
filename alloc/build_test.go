package alloc

import "testing"

// options are those of every allocator at once.
type options struct {
	limits   Limits
	gaussian GaussianOptions
	decay    float64
	guard    GuardOptions
}

// usual are the options of these tests.
func usual() options {
	return options{limits: Limits{Least: 2, Even: true}, gaussian: GaussianOptions{ByFeatures: true}, decay: 0.7,
		guard: GuardOptions{Window: 50}}
}

// every lists the allocators that stand alone.
var every = []string{"uniform", "bernoulli", "gaussian", "gaussian_released", "neyman"}

// bare makes one without a guard.
func bare(t testing.TB, name string, o options) Allocator {
	t.Helper()
	var a Allocator
	var err error
	switch name {
	case "uniform":
		a = NewUniform(o.limits)
	case "bernoulli":
		a = NewBernoulli(o.limits)
	case "gaussian_released":
		a = NewReleased(o.limits)
	case "gaussian":
		o.gaussian.Limits = o.limits
		a, err = NewGaussian(o.gaussian)
	case "neyman":
		a, err = NewNeyman(NeymanOptions{o.limits, o.decay})
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// build makes one with a guard around it, but for equal shares.
func build(t testing.TB, name string, o options) Allocator {
	t.Helper()
	a := bare(t, name, o)
	if a.Name() != name {
		t.Fatalf("%s calls itself %s", name, a.Name())
	}
	if name == "uniform" {
		return a
	}
	o.guard.Limits = o.limits
	g, err := NewGuard(a, o.guard)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
