// Package allocator holds the allocators under the names that a config knows. What
// they do is package alloc's; here are their options' keys, and errors that say
// which key to mend.
package allocator

import (
	"errors"
	"fmt"
	"strings"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

// Options of every allocator, as a config has them.
type Options struct {
	MinQueries int             // least count of an image; at least 1, and even where Even
	Even       bool            // counts are even: antithetic pairs
	Fallback   bool            // equal shares once the measured gain is not positive
	Window     int             // steps over which the gain is measured; 0 measures none
	Warn       func(string)    // takes the one line that says so; may be nil
	Own        settings.Values // what single allocators take
	// Named is how the user names an option, such as "decay"; nil: by its key in a
	// config.
	Named func(option string) string
}

// named is how the user names an option.
func (o Options) named(option string) string {
	if o.Named != nil {
		return o.Named(option)
	}
	return "allocator." + option
}

// Limits are what every count keeps.
func (o Options) Limits() alloc.Limits { return alloc.Limits{Least: o.MinQueries, Even: o.Even} }

var registry = settings.NewRegistry[func(Options) (alloc.Allocator, error)]("allocator.name", "allocator")

// Register adds an allocator under a name; call it from init. A name that is
// taken panics. What it returns takes the settings that the allocator reads from
// Options.Own and the numbers that it learns, where it implements
// settings.Parameters.
func Register(name string, build func(Options) (alloc.Allocator, error)) *settings.Registration {
	return registry.Add(name, build)
}

// Names lists the registered allocators in alphabetic order.
func Names() []string { return registry.Names() }

// Settings lists what single allocators add to the section allocator of a config.
func Settings() []settings.Owned { return registry.Settings() }

// Learned names the numbers that an allocator learns.
func Learned(name string) []settings.Param { return registry.Learned(name) }

// New makes an allocator, watched by a guard unless it is uniform. An unknown
// name, options out of range, and what Allocate cannot share out or do without are
// errors of type *uierr.Error.
func New(name string, o Options) (alloc.Allocator, error) {
	build, err := registry.Get(name)
	if err != nil {
		return nil, uierr.New(fmt.Sprintf("%s: no allocator %q", o.named("name"), name),
			"use one of "+strings.Join(Names(), ", "))
	}
	if o.MinQueries < 0 {
		return nil, uierr.New(fmt.Sprintf("%s: %d", o.named("min_queries"), o.MinQueries),
			"give every image at least 1 query")
	}
	for _, own := range Settings() { // what is wrong is told, whoever would read it
		if err := own.Check(o.named(own.Key), own.In(o.Own)); err != nil {
			return nil, err
		}
	}
	a, err := build(o)
	if err == nil && name != "uniform" {
		a, err = alloc.NewGuard(a, alloc.GuardOptions{Limits: o.Limits(), Window: o.Window, Fallback: o.Fallback,
			Warn: o.warn})
	}
	if err != nil {
		return nil, o.told(err)
	}
	return keyed{a, o}, nil
}

// warn passes an alarm of the guard on.
func (o Options) warn(a alloc.Alarm) {
	what := o.named("fallback") + ": true would return to equal shares"
	if a.Equal {
		what = "equal shares from now on"
	}
	if o.Warn != nil {
		o.Warn(a.String() + "; " + what)
	}
}

// keyed is an allocator whose errors name the keys of a config.
type keyed struct {
	alloc.Allocator
	o Options
}

// Allocate implements alloc.Allocator.
func (k keyed) Allocate(s alloc.Signals, budget int) ([]int, error) {
	n, err := k.Allocator.Allocate(s, budget)
	return n, k.o.told(err)
}

// Shares implements alloc.Shared.
func (k keyed) Shares(s alloc.Signals) ([]float64, error) {
	a, ok := k.Allocator.(alloc.Shared)
	if !ok {
		return nil, uierr.New(k.o.named("name")+": "+k.Name()+" does not say how it would draw images",
			"give every image a query, or use one of "+strings.Join(Names(), ", "))
	}
	shares, err := a.Shares(s)
	return shares, k.o.told(err)
}

// Params implements settings.Parameters.
func (k keyed) Params() []float64 {
	return settings.ParamsOf(k.Allocator)
}

// keys are the keys of alloc's options.
var keys = map[string]string{"Start": "w", "Rate": "lr", "Decay": "decay", "Window": "window", "Scope": "scope"}

// told turns the errors of package alloc into a user's mistakes.
func (o Options) told(err error) error {
	var option *alloc.OptionError
	var budget *alloc.BudgetError
	var signal *alloc.SignalError
	switch {
	case errors.As(err, &option):
		return uierr.Wrap(err, o.named(keys[option.Option])+": "+option.Is, option.Want)
	case errors.As(err, &budget) && budget.Items == 0:
		return uierr.Wrap(err, "the batch is empty", "set train.batch_size to at least 1")
	case errors.As(err, &budget) && budget.Short():
		return uierr.Wrap(err, fmt.Sprintf("budget: %d queries for %d images that get at least %d each",
			budget.Budget, budget.Items, budget.Least),
			"raise budget.queries_per_image or lower allocator.min_queries")
	case errors.As(err, &budget):
		return uierr.Wrap(err, fmt.Sprintf("budget: %d queries cannot be spent in antithetic pairs", budget.Budget),
			"make batch size times queries per image even")
	case errors.As(err, &signal) && signal.Signal == "Features" && signal.Have == 0:
		return uierr.Wrap(err, o.named("features")+": this model gives no cls embedding",
			"set "+o.named("features")+": loss")
	}
	return err
}
