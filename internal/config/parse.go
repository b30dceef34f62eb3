package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
	"gopkg.in/yaml.v3"
)

// reader turns YAML and texts into values of their keys. It remembers which
// environment variables the values named, and how much it has merged.
type reader struct {
	named  map[string]bool
	merges int
}

func newReader() *reader { return &reader{named: map[string]bool{}} }

// Document parses YAML that must be one document and returns its root, nil of an
// empty one. path is for messages. An error is a user's mistake.
func Document(path string, raw []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(anyVersion(raw)))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, broken(path, raw, err)
	}
	switch err := d.Decode(&more); {
	case errors.Is(err, io.EOF):
		return doc.Content[0], nil
	case err != nil:
		return nil, broken(path, raw, err)
	}
	return nil, uierr.New(fmt.Sprintf("%s:%d: a second document begins after ---", path, more.Line),
		"keep one document per file; 'extends: other.yaml' builds one on another")
}

// directive is the version that a document may say it is written in, before its
// first ---.
var directive = regexp.MustCompile(`\A(?:(?:#.*)?\r?\n)*%YAML 1\.\d+`)

// anyVersion is raw with a directive %YAML 1.2 as one of 1.1, the only one that
// the parser takes; what settings are made of is the same in both.
func anyVersion(raw []byte) []byte {
	m := directive.FindIndex(raw)
	if m == nil {
		return raw
	}
	at := bytes.LastIndexByte(raw[:m[1]], '.') + 1
	return slices.Concat(raw[:at], []byte("1"), raw[m[1]:])
}

// broken is the error for text that is no YAML.
func broken(path string, raw []byte, err error) error {
	hint := "mend the YAML; lists are [a, b], maps {key: value}, and tabs do not indent"
	if bytes.Contains(raw, []byte("${")) {
		hint += `; inside braces write "${NAME:-default}" with quotes`
	}
	return uierr.Wrap(err, fmt.Sprintf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: ")), hint)
}

// parse reads a file strictly: one document, every key known and given once,
// every value of its key's type, every ${NAME} expanded.
func (r *reader) parse(path string, raw []byte) (map[string]any, error) {
	root, err := Document(path, raw)
	if err != nil || root == nil {
		return map[string]any{}, err
	}
	return r.mapping(path, "", root)
}

// mapping reads one section.
func (r *reader) mapping(path, prefix string, n *yaml.Node) (map[string]any, error) {
	n = deref(n)
	out := map[string]any{}
	if isNull(n) {
		return out, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, uierr.New(fmt.Sprintf("%s:%d: %s is a section and holds no value of its own", path, n.Line,
			name(prefix)),
			"write key: value pairs under it")
	}
	all, err := r.pairs(path, prefix, n)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		key := prefix + p.key.Value
		where := fmt.Sprintf("%s:%d", path, p.key.Line)
		f, ok := find(key)
		switch {
		case ok:
			x, err := r.value(where+": "+key, f, p.value)
			if err != nil {
				return nil, err
			}
			out[p.key.Value] = x
		case section(key):
			m, err := r.mapping(path, key+".", p.value)
			if err != nil {
				return nil, err
			}
			out[p.key.Value] = m
		default:
			return nil, unknown(where, key)
		}
	}
	return out, nil
}

func name(prefix string) string {
	if prefix == "" {
		return "the file"
	}
	return strings.TrimSuffix(prefix, ".")
}
