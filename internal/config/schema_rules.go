package config

import (
	"slices"
	"strings"
)

// what a rule may not judge: the value is not known until the program runs.
func variableSchema() map[string]any { return map[string]any{"$ref": "#/$defs/variable"} }

// schema is the rule as "if when, then then". A key that is absent has its
// default, so it stands for it on either side.
func (r rule) schema(defaults *Config) map[string]any {
	then := r.then.schema(defaults, false)
	if len(r.when) == 0 {
		return then
	}
	var when []any
	for _, w := range r.when {
		when = append(when, w.schema(defaults, true))
	}
	return map[string]any{"if": map[string]any{"allOf": when}, "then": then}
}

// schema is the condition on a whole experiment. A ${NAME} fulfils no when and
// breaks no then.
func (d cond) schema(defaults *Config, when bool) map[string]any {
	s := d.test.schema(when)
	absent := d.holds(defaults)
	parts := strings.Split(d.key, ".")
	slices.Reverse(parts)
	for _, p := range parts {
		s = map[string]any{"properties": map[string]any{p: s}}
		if !absent {
			s["type"], s["required"] = "object", []string{p}
		}
	}
	return s
}

// schema is the test on one value.
func (t test) schema(when bool) map[string]any {
	no := func(s map[string]any) map[string]any { return map[string]any{"not": s} }
	enum := func(v ...any) map[string]any { return map[string]any{"enum": v} }
	switch {
	case t.filled && when:
		return no(map[string]any{"anyOf": []any{enum("", []any{}, nil), variableSchema()}})
	case t.filled:
		return no(enum("", []any{}, nil))
	case t.empty && when:
		return enum("", []any{}, nil)
	case t.empty:
		return map[string]any{"anyOf": []any{enum("", []any{}, nil), variableSchema()}}
	case t.pairs:
		return map[string]any{"anyOf": []any{map[string]any{"multipleOf": 2}, map[string]any{"const": 1}}}
	case t.least != 0:
		return map[string]any{"minimum": t.least}
	case t.has != "": // one value is a list of one
		return map[string]any{"anyOf": []any{enum(t.has), variableSchema(),
			map[string]any{"type": "array", "contains": map[string]any{"anyOf": []any{enum(t.has), variableSchema()}}}}}
	}
	var values []any
	for _, v := range t.among {
		switch v {
		case true:
			values = append(append(values, v), anys(trueWords)...)
		case false:
			values = append(append(values, v), anys(falseWords)...)
		default:
			values = append(values, v)
		}
	}
	switch {
	case t.not && when:
		return no(map[string]any{"anyOf": []any{enum(values...), variableSchema()}})
	case t.not:
		return no(enum(values...))
	case when:
		return enum(values...)
	}
	return map[string]any{"anyOf": []any{enum(values...), variableSchema()}}
}

// ruleSchema is every rule, for an experiment that stands alone: what one that
// extends another leaves out is not known.
func ruleSchema(defaults *Config) map[string]any {
	var all []any
	for _, r := range rules() {
		all = append(all, r.schema(defaults))
	}
	return map[string]any{
		"if":   map[string]any{"properties": map[string]any{"extends": map[string]any{"const": ""}}},
		"then": map[string]any{"allOf": all},
	}
}
