package config

import (
	"fmt"
	"strings"

	"github.com/spf13/viper"
)

// given is a text that a layer above the files gives a key.
type given struct {
	field
	where string // what gave it, for messages
	text  string
}

// setFlag is a --set as a flag of viper's.
type setFlag given

func (f setFlag) HasChanged() bool    { return true }
func (f setFlag) Name() string        { return f.where }
func (f setFlag) ValueString() string { return f.text }
func (f setFlag) ValueType() string   { return "string" }

// bind gives viper the environment's variables of the keys, and the sets as its
// flags, which go before them. It lists all that was given, lowest first.
func bind(v *viper.Viper, environ, sets []string) ([]given, error) {
	var all []given
	for _, e := range environ {
		name, text, _ := strings.Cut(e, "=")
		f, ok := keyOf(name)
		if !ok {
			continue
		}
		if err := v.BindEnv(f.key, name); err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
		all = append(all, given{f, name, text})
	}
	for _, s := range sets {
		f, text, err := split("--set "+s, s)
		if err != nil {
			return nil, err
		}
		g := given{f, "--set " + f.key, text}
		if err := v.BindFlagValue(f.key, setFlag(g)); err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
		all = append(all, g)
	}
	return all, nil
}

// typed turns the texts that viper has from flags and variables into values of
// their keys' types. Each text is read, also one that another goes before: what
// is wrong is said.
func (r *reader) typed(v *viper.Viper, all []given) error {
	values := map[string]any{}
	for _, g := range all {
		x, err := r.text(g.where, g.field, g.text)
		if err != nil {
			return err
		}
		if v.GetString(g.key) == g.text { // the one that counts
			values[g.key] = x
		}
	}
	for _, f := range fields() {
		if x, ok := values[f.key]; ok {
			v.Set(f.key, x)
		}
	}
	return nil
}
