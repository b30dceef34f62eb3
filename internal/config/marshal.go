package config

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Marshal writes a config as YAML in the order of the vocabulary; loading it
// gives the same config back.
func Marshal(c Config) ([]byte, error) {
	var root yaml.Node
	err := root.Encode(c)
	if err == nil {
		arrange(&root, "", Keys())
		var b []byte
		if b, err = yaml.Marshal(&root); err == nil {
			return b, nil
		}
	}
	return nil, fmt.Errorf("config: %w", err)
}

// MarshalKeys writes some keys of a config as a file that extends another.
func MarshalKeys(c Config, extends string, keys []string) ([]byte, error) {
	c.Extends = extends
	var root yaml.Node
	err := root.Encode(c)
	if err == nil {
		arrange(&root, "", Keys())
		only(&root, "", append([]string{"extends"}, keys...))
		var b []byte
		if b, err = yaml.Marshal(&root); err == nil {
			return b, nil
		}
	}
	return nil, fmt.Errorf("config: %w", err)
}

// only takes out of a mapping what is none of keys, nor leads to one.
func only(n *yaml.Node, prefix string, keys []string) {
	var left []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := prefix+n.Content[i].Value, n.Content[i+1]
		whole := slices.Contains(keys, key)
		if !whole && value.Kind == yaml.MappingNode {
			only(value, key+".", keys)
			whole = len(value.Content) > 0
		}
		if whole {
			left = append(left, n.Content[i], value)
		}
	}
	n.Content = left
}

// arrange puts the keys of a mapping, and of those in it, into the order of
// known. Encoding a struct puts its inline map last.
func arrange(n *yaml.Node, prefix string, known []string) {
	place := func(key string) int {
		return slices.IndexFunc(known, func(k string) bool { return k == prefix+key || strings.HasPrefix(k, prefix+key+".") })
	}
	pairs := make([]pair, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := n.Content[i+1]; v.Kind == yaml.MappingNode {
			arrange(v, prefix+n.Content[i].Value+".", known)
		}
		pairs = append(pairs, pair{n.Content[i], n.Content[i+1]})
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return place(a.key.Value) - place(b.key.Value) })
	n.Content = n.Content[:0]
	for _, p := range pairs {
		n.Content = append(n.Content, p.key, p.value)
	}
}
