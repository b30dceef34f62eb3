package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/settings"
	"gopkg.in/yaml.v3"
)

// own lists what the implementations of a section add to its keys. Every key of
// every one is part of the vocabulary, whichever is chosen: an experiment says
// all of them, so that one --set changes the choice.
var own = map[string]func() []settings.Owned{
	"allocator": allocator.Settings,
	"estimator": lr.Settings,
	"objective": objective.Settings,
	"optimizer": optim.Settings,
	"sites":     parts.Settings,
}

// owned are the defaults of a section's own settings.
func owned(section string) settings.Values { return settings.Defaults(own[section]()) }

// places are the keys of these sections in the order in which config.yaml has
// always had them, and a journal's fingerprint with it. Others come after them.
var places = map[string][]string{
	"estimator": {"name", "schedule", "antithetic", "sigma", "learn_sigma", "sigma_lr", "structural_mask", "noise", "qmc"},
	"allocator": {"name", "learn", "min_queries", "features", "w", "freeze", "lr", "decay", "fallback", "window"},
	"optimizer": {"name", "lr", "momentum", "betas", "eps", "weight_decay", "schedule", "warmup", "step_size", "gamma",
		"min_lr", "clip"},
	"objective": {"kind", "embeddings", "test_embeddings", "pairing", "temperature", "learn_temperature"},
}

// withOwn adds to the fields of a section what its implementations declare, each
// in its place. A setting under a key that the section has itself panics.
func withOwn(common []field, prefix string, path []int) []field {
	section := strings.TrimSuffix(prefix, ".")
	out := slices.Clone(common)
	for _, o := range own[section]() {
		key := prefix + o.Key
		if slices.ContainsFunc(common, func(f field) bool { return f.key == key }) {
			panic(fmt.Sprintf("config: the setting %s of %s is a key of every %s", key, strings.Join(o.Owners, ", "), section))
		}
		out = append(out, field{key: key, typ: o.Type(), path: path, own: &o})
	}
	place := func(f field) int {
		if i := slices.Index(places[section], strings.TrimPrefix(f.key, prefix)); i >= 0 {
			return i
		}
		return len(places[section])
	}
	slices.SortStableFunc(out, func(a, b field) int { return place(a) - place(b) })
	return out
}

// typeOwn gives the own settings of a config that was read from YAML the types
// that they are declared with: there 1 is a whole number, whatever the key.
func typeOwn(c *Config) error {
	for _, f := range fields() {
		if f.own == nil {
			continue
		}
		at := reflect.ValueOf(c).Elem().FieldByIndex(f.path)
		values := at.Interface().(settings.Values)
		given, ok := values[f.own.Key]
		if !ok {
			continue
		}
		var n yaml.Node
		typed := reflect.New(f.typ)
		err := n.Encode(given)
		if err == nil {
			err = n.Decode(typed.Interface())
		}
		if err != nil {
			return fmt.Errorf("config: %s: %w", f.key, err)
		}
		values = maps.Clone(values)
		values[f.own.Key] = typed.Elem().Interface()
		at.Set(reflect.ValueOf(values))
	}
	return nil
}
