package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
	"gopkg.in/yaml.v3"
)

// text reads the value of one key from an argument, an environment variable or
// an expansion. A text is taken as it stands, never as YAML: `photos #1` is a
// path. A list is [a, b] as in YAML or lines of "- a"; anything else is a list of
// one.
func (r *reader) text(where string, f field, s string) (any, error) {
	if f.typ.Kind() == reflect.Slice {
		return r.listText(where, f, s)
	}
	v, err := r.scalar(where, f, f.typ, literal(f.typ, s))
	if err != nil {
		return nil, err
	}
	return v.Interface(), nil
}

func (r *reader) listText(where string, f field, s string) (any, error) {
	read := readScalar(r.scalar)
	if !listed(s) { // of a written list, each item is expanded by itself
		var err error
		if s, err = r.expand(where, s); err != nil {
			return nil, err
		}
		read = expanded
	}
	switch t := strings.TrimSpace(s); {
	case t == "" || t == "~" || t == "null":
		return list(where, f, &yaml.Node{Kind: yaml.SequenceNode}, read)
	case !listed(s):
		return list(where, f, literal(f.typ.Elem(), s), read)
	}
	n, err := Document(where, []byte(s))
	if err == nil && n.Kind == yaml.SequenceNode {
		return list(where, f, n, read)
	}
	return nil, uierr.Wrap(err, fmt.Sprintf("%s: %q is not %s", where, s, describe(f.typ)),
		fmt.Sprintf(`%s takes %s; quote what has brackets, commas, # or ": " in it: ["a, b"]`, f.key, describe(f.typ)))
}

// listed says whether a text is written as a YAML list.
func listed(s string) bool {
	t := strings.TrimSpace(s)
	return strings.HasPrefix(t, "[") || strings.HasPrefix(t, "- ")
}

// variableText is what expands, as a regular expression for the schema too.
const variableText = `\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`

var variable = regexp.MustCompile(variableText)

// expand replaces ${NAME} and ${NAME:-default}.
func (r *reader) expand(where, s string) (string, error) {
	var missing error
	out := variable.ReplaceAllStringFunc(s, func(m string) string {
		g := variable.FindStringSubmatch(m)
		r.named[g[1]] = true
		if v := os.Getenv(g[1]); v != "" {
			return v
		}
		if g[2] == "" && missing == nil {
			missing = uierr.New(fmt.Sprintf("%s: the environment has no %s", where, g[1]),
				fmt.Sprintf("set %s, or write ${%s:-default}", g[1], g[1]))
		}
		return g[3]
	})
	return out, missing
}
