package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/viper"
	"gopkg.in/yaml.v3"
)

// maxFile is the largest config that is read.
const maxFile = 1 << 20

// Resolved is a config with every layer applied, and where each came from.
type Resolved struct {
	Config
	Files    []string // the file and what it extends, outermost first
	Warnings []string // environment variables that look like keys and are none
	*reader
}

// Load reads an experiment. viper holds its layers, each over the one before: the
// defaults, what the file extends, the file, environment variables
// (FLOPS_TRAIN_STEPS for train.steps), and sets, which are its flags, each
// "key=value", a text as it stands or a list. Every layer is checked strictly
// besides, because viper itself ignores unknown keys. Relative paths in values are
// relative to the current folder; extends is relative to the file that says it.
// The result is validated.
func Load(path string, sets []string) (*Resolved, error) { return load(path, os.Environ(), sets) }

// load is Load with those variables of the environment alone whose names environ
// has, as "name=value".
func load(path string, environ, sets []string) (*Resolved, error) {
	v := viper.New()
	v.AllowEmptyEnv(true)
	r := &Resolved{reader: newReader()}
	values, err := toMap(base(path))
	if err != nil {
		return nil, err
	}
	for key, value := range values {
		v.SetDefault(key, value)
	}
	if path != "" {
		if err := r.file(v, path, nil); err != nil {
			return nil, err
		}
	}
	given, err := bind(v, environ, sets)
	if err != nil {
		return nil, err
	}
	if err := r.typed(v, given); err != nil {
		return nil, err
	}
	out, err := yaml.Marshal(v.AllSettings())
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if err := yaml.Unmarshal(out, &r.Config); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if err := typeOwn(&r.Config); err != nil {
		return nil, err
	}
	if path != "" && r.Name == "" {
		r.Name = nameOf(path)
	}
	r.Extends = ""
	r.Warnings = r.strays(environ)
	return r, Validate(&r.Config)
}

// file merges a file over what it extends.
func (r *Resolved) file(v *viper.Viper, path string, above []string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("config %s: %w", path, err)
	}
	for _, a := range above {
		if a == abs {
			return uierr.New(fmt.Sprintf("%s: extends leads back to itself", path), "remove one of the extends lines")
		}
	}
	raw, err := read(path)
	if err != nil {
		return err
	}
	layer, err := r.parse(path, raw)
	if err != nil {
		return err
	}
	if up, ok := layer["extends"].(string); ok && up != "" {
		if !filepath.IsAbs(up) {
			up = filepath.Join(filepath.Dir(path), up)
		}
		if err := r.file(v, up, append(above, abs)); err != nil {
			return err
		}
	}
	r.Files = append([]string{path}, r.Files...)
	if err := v.MergeConfigMap(layer); err != nil {
		return fmt.Errorf("config %s: %w", path, err)
	}
	return nil
}

func read(path string) ([]byte, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, uierr.Wrap(err, fmt.Sprintf("%s: no such file", path),
			"give --config the path of a YAML experiment; configs/ has some")
	case err != nil:
		return nil, fmt.Errorf("config: %w", err)
	case st.IsDir():
		return nil, uierr.New(fmt.Sprintf("%s is a folder", path), "give --config the path of a YAML file")
	case st.Size() > maxFile:
		return nil, uierr.New(fmt.Sprintf("%s has %d bytes, which is no config", path, st.Size()),
			fmt.Sprintf("a config has at most %d bytes", maxFile))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return b, nil
}

// toMap is a config as nested maps.
func toMap(c Config) (map[string]any, error) {
	b, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	out := map[string]any{}
	return out, yaml.Unmarshal(b, &out)
}

// split reads key=value as far as the key.
func split(where, s string) (field, string, error) {
	key, value, ok := strings.Cut(s, "=")
	if !ok {
		return field{}, "", uierr.New(where+": no '='", "write section.key=value, for example train.steps=10")
	}
	key = strings.TrimSpace(key)
	f, ok := find(key)
	if !ok {
		return field{}, "", unknown(where, key)
	}
	return f, value, nil
}

// CheckSet checks that a text sets a key that there is, as --set takes it; where
// names it in the error, a user's mistake.
func CheckSet(where, s string) error {
	_, _, err := split(where, s)
	return err
}

// unknown is the error for a key that nobody knows.
func unknown(where, key string) error {
	known := Keys()
	if section(key) {
		return uierr.New(fmt.Sprintf("%s: %s is a section", where, key),
			fmt.Sprintf("set one of its keys, for example %s", first(key)))
	}
	hint := "'flops config show' prints every key"
	if n := nearest(key, known); n != "" {
		hint = fmt.Sprintf("did you mean %s?", n)
	}
	return uierr.New(fmt.Sprintf("%s: no key %s", where, key), hint)
}

func first(prefix string) string {
	for _, k := range Keys() {
		if strings.HasPrefix(k, prefix+".") {
			return k
		}
	}
	return prefix
}
