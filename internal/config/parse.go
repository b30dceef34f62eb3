package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
	"gopkg.in/yaml.v3"
)

// parse reads a file strictly: every key known and given once, every value of
// its key's type, every ${NAME} expanded.
func parse(path string, raw []byte) (map[string]any, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: ")), "mend the YAML; lists are [a, b], maps {key: value}, and tabs do not indent")
	}
	if len(doc.Content) == 0 {
		return map[string]any{}, nil
	}
	return mapping(path, "", doc.Content[0])
}

// mapping reads one section.
func mapping(path, prefix string, n *yaml.Node) (map[string]any, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return map[string]any{}, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, uierr.New(fmt.Sprintf("%s:%d: %s is a section and holds no value of its own", path, n.Line, name(prefix)), "write key: value pairs under it")
	}
	out := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		key := prefix + k.Value
		where := fmt.Sprintf("%s:%d", path, k.Line)
		if _, twice := out[k.Value]; twice {
			return nil, uierr.New(fmt.Sprintf("%s: %s is given twice", where, key), "remove one of the two")
		}
		f, ok := find(key)
		switch {
		case ok:
			x, err := scalar(where+": "+key, f, v)
			if err != nil {
				return nil, err
			}
			out[k.Value] = x
		case section(key):
			m, err := mapping(path, key+".", v)
			if err != nil {
				return nil, err
			}
			out[k.Value] = m
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

// scalar reads the value of one key.
func scalar(where string, f field, n *yaml.Node) (any, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if err := expandAll(where, n); err != nil {
		return nil, err
	}
	wrong := func() error {
		return uierr.New(fmt.Sprintf("%s: %s is not %s", where, show(n), describe(f.typ)), fmt.Sprintf("%s takes %s", f.key, describe(f.typ)))
	}
	if f.typ.Kind() != reflect.Slice && n.Kind != yaml.ScalarNode {
		return nil, wrong()
	}
	if f.typ.Kind() == reflect.Slice && n.Kind == yaml.ScalarNode && n.Tag != "!!null" { // one value is a list of one
		n = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{n}}
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" && f.typ.Kind() != reflect.Slice {
		return nil, wrong()
	}
	if n.Kind == yaml.ScalarNode && f.typ.Kind() != reflect.String && n.Tag == "!!str" && n.Style == 0 {
		n.Tag = "" // after an expansion, a number may have come out
	}
	if (f.typ.Kind() == reflect.Int || f.typ.Kind() == reflect.Int64) && n.ShortTag() != "!!int" {
		return nil, wrong() // the decoder would cut a fraction off
	}
	v := reflect.New(f.typ)
	if err := n.Decode(v.Interface()); err != nil {
		return nil, wrong()
	}
	return v.Elem().Interface(), nil
}

func show(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return fmt.Sprintf("%q", n.Value)
	}
	if n.Kind == yaml.SequenceNode {
		return "a list"
	}
	return "a map"
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// expandAll replaces ${NAME} and ${NAME:-default} in every text under n.
func expandAll(where string, n *yaml.Node) error {
	for _, c := range n.Content {
		if err := expandAll(where, c); err != nil {
			return err
		}
	}
	if n.Kind != yaml.ScalarNode || !strings.Contains(n.Value, "${") {
		return nil
	}
	var missing error
	n.Value = variable.ReplaceAllStringFunc(n.Value, func(m string) string {
		g := variable.FindStringSubmatch(m)
		if v := os.Getenv(g[1]); v != "" {
			return v
		}
		if g[2] == "" {
			missing = errors.Join(missing, uierr.New(fmt.Sprintf("%s: the environment has no %s", where, g[1]), fmt.Sprintf("set %s, or write ${%s:-default}", g[1], g[1])))
		}
		return g[3]
	})
	return missing
}
