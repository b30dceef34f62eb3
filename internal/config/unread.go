package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/settings"
)

// Unread lists the keys that an experiment sets, sets among them as Load takes them, and that
// belong to other implementations than it has chosen, in the order of the vocabulary: an
// allocator's decay where another allocator is chosen, the alpha of adapters where
// biases are trained. They are no mistake, since one --set changes the choice, but
// whoever set one may believe that it counts. Of files, which may be whole, it lists what
// is set to other than its default; of sets all, since each was written to count, but for
// kinds of maps, which may be named to take back residual.
func Unread(c Config, sets []string) (out []string) {
	usual, set := Default(), map[string]bool{}
	for _, s := range sets {
		if f, _, err := split("", s); err == nil {
			set[f.key] = f.own != nil
		}
	}
	for _, f := range fields() {
		if !f.isRead(&c) && (set[f.key] || onLine(f.of(&c)) != onLine(f.of(&usual))) {
			out = append(out, f.key)
		}
	}
	return out
}

// isRead says whether what a config chooses in the section of an implementation's key
// reads it, or of kinds of maps what it trains of the blocks: residual says for all where the
// noise is.
func (f field) isRead(c *Config) bool {
	if f.key == "sites.kinds" {
		k := c.Sites.Kinds
		return len(k) == 0 || slices.Contains(k, "residual") || parts.Is(c.Sites.Train, parts.Maps)
	}
	if f.own == nil {
		return true
	}
	section, _, _ := strings.Cut(f.key, ".")
	for _, key := range implemented {
		if strings.HasPrefix(key, section+".") {
			chooses, _ := find(key)
			own := reflect.ValueOf(c).Elem().FieldByIndex(f.path).Interface().(settings.Values)
			return slices.Contains(f.own.Owners, chooses.of(c).String()) && f.own.Read(own)
		}
	}
	return true
}

// Braced writes keys shortly, a section's in braces as a shell expands them:
// estimator.{kappa,feedback_gain}.
func Braced(keys []string) string {
	var sections []string
	by := map[string][]string{}
	for _, k := range keys {
		section, rest, _ := strings.Cut(k, ".")
		if by[section] == nil {
			sections = append(sections, section)
		}
		by[section] = append(by[section], rest)
	}
	var out []string
	for _, s := range sections {
		if rest := by[s]; len(rest) == 1 {
			out = append(out, s+"."+rest[0])
		} else {
			out = append(out, s+".{"+strings.Join(rest, ",")+"}")
		}
	}
	return strings.Join(out, " ")
}
