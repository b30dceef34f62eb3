package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
	"gopkg.in/yaml.v3"
)

// What is read as a bool, quoted or not: YAML 1.1 has more words than 1.2, and
// people write both.
var (
	trueWords  = words("true", "yes", "on", "y")
	falseWords = words("false", "no", "off", "n")
)

// words are the spellings of some words: lower case, Capitals and UPPER CASE.
func words(lower ...string) []string {
	var out []string
	for _, w := range lower {
		for _, s := range []string{w, strings.ToUpper(w[:1]) + w[1:], strings.ToUpper(w)} {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// wrong is the error for a value that is not of its key's type.
func wrong(where string, f field, shown string) error {
	what := describe(f.typ)
	return uierr.New(fmt.Sprintf("%s: %s is not %s", where, shown, what), fmt.Sprintf("%s takes %s", f.key, what))
}

// value reads the value of one key from a file.
func (r *reader) value(where string, f field, n *yaml.Node) (any, error) {
	n = deref(n)
	if f.typ.Kind() != reflect.Slice {
		v, err := r.scalar(where, f, f.typ, n)
		if err != nil {
			return nil, err
		}
		return v.Interface(), nil
	}
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "${") {
		return r.text(where, f, n.Value) // a variable may hold the whole list
	}
	return list(where, f, n, r.scalar)
}

// readScalar is reader.scalar or expanded.
type readScalar func(where string, f field, t reflect.Type, n *yaml.Node) (reflect.Value, error)

// list reads a list by reading its items; one value is a list of one, and
// nothing an empty one.
func list(where string, f field, n *yaml.Node, read readScalar) (any, error) {
	items := n.Content
	switch {
	case isNull(n):
		items = nil
	case n.Kind == yaml.ScalarNode:
		items = []*yaml.Node{n}
	case n.Kind != yaml.SequenceNode:
		return nil, wrong(where, f, show(n))
	}
	out := reflect.MakeSlice(f.typ, 0, len(items))
	for _, item := range items {
		v, err := read(where, f, f.typ.Elem(), deref(item))
		if err != nil {
			return nil, err
		}
		out = reflect.Append(out, v)
	}
	return out.Interface(), nil
}

// scalar reads one value of a type. What held a ${NAME} is typed by its key,
// whether it was quoted or not.
func (r *reader) scalar(where string, f field, t reflect.Type, n *yaml.Node) (reflect.Value, error) {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "${") {
		s, err := r.expand(where, n.Value)
		if err != nil {
			return reflect.Value{}, err
		}
		n = literal(t, s)
	}
	return expanded(where, f, t, n)
}

// expanded is scalar for a value in which nothing is left to expand.
func expanded(where string, f field, t reflect.Type, n *yaml.Node) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	if n.Kind != yaml.ScalarNode || !fill(v, n) {
		return v, wrong(where, f, show(n))
	}
	return v, nil
}

// literal is a text as the node that a value of a type is read from.
func literal(t reflect.Type, s string) *yaml.Node {
	if t.Kind() == reflect.String {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: strings.TrimSpace(s)}
}

// fill sets v to a scalar; false where the scalar is not of v's type. A whole
// number may be written as 3.0 or 1e3, and a number may stand for a text.
func fill(v reflect.Value, n *yaml.Node) bool {
	tag := n.ShortTag()
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
		return slices.Contains([]string{"!!str", "!!int", "!!float", "!!bool", "!!timestamp", "!!merge"}, tag)
	case reflect.Bool:
		v.SetBool(slices.Contains(trueWords, n.Value))
		return (tag == "!!bool" || tag == "!!str") && (v.Bool() || slices.Contains(falseWords, n.Value))
	case reflect.Int, reflect.Int64:
		var x int64
		var y float64
		switch {
		case tag == "!!int" && n.Decode(&x) == nil:
		case tag == "!!float" && n.Decode(&y) == nil && y == math.Trunc(y) && math.Abs(y) < 1<<63:
			x = int64(y)
		default:
			return false
		}
		v.SetInt(x)
		return !v.OverflowInt(x)
	}
	var x float64
	if tag != "!!int" && tag != "!!float" || n.Decode(&x) != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return false
	}
	v.SetFloat(x)
	return !v.OverflowFloat(x)
}

func show(n *yaml.Node) string {
	switch n.Kind {
	case yaml.ScalarNode:
		return fmt.Sprintf("%q", n.Value)
	case yaml.SequenceNode:
		return "a list"
	}
	return "a map"
}
