package compare

import (
	"regexp"
	"strings"

	"github.com/flops-vit/flops/internal/config"
)

// Schema is the JSON Schema (draft 2020-12) of a file of arms. The values that
// an arm sets are checked when its experiment is put together; their keys here.
func Schema() ([]byte, error) {
	var keys []string
	for _, k := range config.Keys() {
		keys = append(keys, regexp.QuoteMeta(k))
	}
	text := func(about string, ways ...any) map[string]any {
		return map[string]any{"description": about, "anyOf": ways}
	}
	m := func(kv ...any) map[string]any {
		out := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i].(string)] = kv[i+1]
		}
		return out
	}
	arm := m("type", "object", "additionalProperties", false, "required", []string{"name"}, "properties", m(
		"name", text("names the arm and the folder of its runs",
			m("type", "string", "pattern", armName.String()), m("type", "number", "minimum", 0),
			m("type", "boolean")),
		"set", m("description", "changes to the experiment, key=value as --set takes them", "type",
			[]string{"array", "null"},
			"items", m("type", "string", "pattern", `^\s*(`+strings.Join(keys, "|")+`)\s*=`)),
		"match", m("description", "what a run has in common with the experiment's: queries (the default), flops or steps",
			"enum", []any{MatchQueries, MatchFLOPs, MatchSteps, "", nil})))
	return config.Indent(m("$schema", "https://json-schema.org/draft/2020-12/schema", "title", "flops arms",
		"type", "object", "additionalProperties", false, "required", []string{"arms"},
		"properties", m("arms", m("type", "array", "minItems", 1, "items", arm))))
}
