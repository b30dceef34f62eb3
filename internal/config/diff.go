package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Difference is a key of which two configs say different things.
type Difference struct {
	Key  string `json:"key"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Differences are the keys of which two configs say different things, in the
// order of the vocabulary. A list that is empty and one that is absent are the same.
func Differences(from, to Config) []Difference {
	var out []Difference
	for _, f := range fields() {
		if x, y := onLine(f.of(&from)), onLine(f.of(&to)); x != y {
			out = append(out, Difference{f.key, x, y})
		}
	}
	return out
}

// onLine is a value on one line, as YAML has it.
func onLine(v reflect.Value) string {
	if v.Kind() != reflect.Slice {
		if s := fmt.Sprint(v.Interface()); s != "" {
			return s
		}
		return `""`
	}
	all := make([]string, v.Len())
	for i := range all {
		all[i] = onLine(v.Index(i))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// Stored reads the config.yaml of a run folder as it is, without environment
// variables and overrides.
func Stored(path string) (Config, error) { return StoredAs(path, nil) }

// StoredAs is Stored with keys set, each "key=value".
func StoredAs(path string, sets []string) (Config, error) {
	r, err := load(path, nil, sets)
	if err != nil {
		return Config{}, err
	}
	return r.Config, nil
}
