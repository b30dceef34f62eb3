package config

import (
	"fmt"

	"github.com/flops-vit/flops/internal/uierr"
	"gopkg.in/yaml.v3"
)

// maxMerges bounds the << keys of a file, each counted as often as it is
// reached: aliases of aliases would otherwise multiply, or never end.
const maxMerges = 100

// pair is a key of a mapping and its value.
type pair struct{ key, value *yaml.Node }

// pairs lists the keys of a mapping and those that << brings in. A key of the
// mapping itself goes before a merged one, an earlier merged one before a later.
func (r *reader) pairs(path, prefix string, n *yaml.Node) ([]pair, error) {
	var own, merged []pair
	given := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := deref(n.Content[i]), deref(n.Content[i+1])
		where := fmt.Sprintf("%s:%d", path, n.Content[i].Line)
		if k.Kind != yaml.ScalarNode {
			return nil, uierr.New(where+": a list or map is no key", "'flops config show' prints every key")
		}
		if given[k.Value] {
			return nil, uierr.New(fmt.Sprintf("%s: %s is given twice", where, prefix+k.Value),
				"remove one of the two")
		}
		given[k.Value] = true
		if k.ShortTag() != "!!merge" {
			own = append(own, pair{k, v})
			continue
		}
		from := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			from = v.Content
		}
		for _, m := range from {
			more, err := r.merge(where, path, prefix, deref(m))
			if err != nil {
				return nil, err
			}
			merged = append(merged, more...)
		}
	}
	for _, p := range merged {
		if !given[p.key.Value] {
			given[p.key.Value] = true
			own = append(own, p)
		}
	}
	return own, nil
}

// merge lists the pairs of a mapping that stands behind <<.
func (r *reader) merge(where, path, prefix string, n *yaml.Node) ([]pair, error) {
	if n.Kind != yaml.MappingNode {
		return nil, uierr.New(where+": << takes a map, or a list of maps",
			"write <<: *name, where &name stands before a section")
	}
	if r.merges++; r.merges > maxMerges {
		return nil, uierr.New(fmt.Sprintf("%s: more than %d merges", where, maxMerges),
			"write the keys out, or use extends")
	}
	return r.pairs(path, prefix, n)
}

// deref follows an alias to what it names.
func deref(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }
