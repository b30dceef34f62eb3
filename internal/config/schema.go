package config

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Schema is the JSON Schema (draft 2020-12) of an experiment, for editors that
// speak the YAML language server's protocol. It says yes and no as Load does,
// but for what it cannot see: the values of variables, what a file extends, and
// how numbers of different keys compare.
func Schema() ([]byte, error) {
	c := Default()
	root := object()
	for _, f := range fields() {
		at := root
		parts := strings.Split(f.key, ".")
		for _, p := range parts[:len(parts)-1] {
			props := at["properties"].(map[string]any)
			if props[p] == nil {
				props[p] = object()
			}
			at = props[p].(map[string]any)
		}
		at["properties"].(map[string]any)[parts[len(parts)-1]] = property(f, f.of(&c))
	}
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "flops experiment"
	root["type"] = "object"
	root["allOf"] = []any{ruleSchema(&c)}
	root["$defs"] = map[string]any{
		"variable": map[string]any{"type": "string", "pattern": variableText},
		"bool": map[string]any{"enum": append(append([]any{true, false}, anys(trueWords)...),
			anys(falseWords)...)},
		"finite": map[string]any{"type": "number", "not": map[string]any{"exclusiveMaximum": -math.MaxFloat64},
			"$comment": ".nan is below and above nothing"},
	}
	return Indent(root)
}

// Indent writes a schema as a file has it.
func Indent(schema any) ([]byte, error) {
	b, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("config: schema: %w", err)
	}
	return append(b, '\n'), nil
}

// object is a section; an empty one is null.
func object() map[string]any {
	return map[string]any{"type": []string{"object", "null"}, "additionalProperties": false,
		"properties": map[string]any{}}
}

// property is the schema of one key.
func property(f field, v reflect.Value) map[string]any {
	p := map[string]any{"description": f.doc()}
	if v.Kind() != reflect.Slice {
		p["default"], p["anyOf"] = v.Interface(), one(f, f.typ)
		return p
	}
	if v.Len() > 0 {
		p["default"] = v.Interface()
	}
	items := one(f, f.typ.Elem())
	var ways []any
	var l []int
	if n := f.length(); n != nil {
		l = n.Of
	}
	if l == nil {
		ways = append(ways, map[string]any{"type": "array", "items": map[string]any{"anyOf": items}})
	}
	for _, n := range l {
		ways = append(ways, map[string]any{"type": "array", "items": map[string]any{"anyOf": items}, "minItems": n,
			"maxItems": n})
	}
	if l == nil || slices.Contains(l, 0) {
		ways = append(ways, map[string]any{"type": "null"})
	}
	if l == nil || slices.Contains(l, 1) { // one value is a list of one
		return with(p, append(ways, items...))
	}
	return with(p, append(ways, variableSchema()))
}

func with(p map[string]any, ways []any) map[string]any {
	p["anyOf"] = ways
	return p
}

// one lists the ways to write one value of a type.
func one(f field, t reflect.Type) []any {
	switch t.Kind() {
	case reflect.String:
		return text(f)
	case reflect.Bool:
		return []any{map[string]any{"$ref": "#/$defs/bool"}, variableSchema()}
	}
	m := map[string]any{"$ref": "#/$defs/finite"}
	if t.Kind() == reflect.Int || t.Kind() == reflect.Int64 {
		m = map[string]any{"type": "integer", "minimum": int64(math.MinInt64), "maximum": int64(math.MaxInt64)}
	}
	if b := f.bound(); b != nil {
		delete(m, "minimum")
		delete(m, "maximum")
		m[map[bool]string{false: "minimum", true: "exclusiveMinimum"}[b.LoOpen]] = b.Lo
		m[map[bool]string{false: "maximum", true: "exclusiveMaximum"}[b.HiOpen]] = b.Hi
	}
	return []any{m, variableSchema()}
}

// text lists the ways to write a text: a number or a word of YAML's stands for
// itself where any text does.
func text(f field) []any {
	if e := f.choices(); e != nil {
		return []any{map[string]any{"enum": e}, variableSchema()}
	}
	w, ok := forms[f.key]
	if !ok {
		return []any{map[string]any{"type": []string{"string", "number", "boolean"}}}
	}
	m := map[string]any{"type": "string"}
	var all []any
	for _, p := range w.has {
		all = append(all, map[string]any{"pattern": p})
	}
	if w.hasNot != "" {
		all = append(all, map[string]any{"not": map[string]any{"pattern": w.hasNot}})
	}
	m["allOf"] = all
	out := []any{m}
	if w.bare != nil {
		out = append(out, map[string]any{"type": w.bare, "minimum": 0})
	}
	return append(out, variableSchema())
}
