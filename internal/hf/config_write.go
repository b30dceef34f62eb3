package hf

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strconv"
)

// pair is a size as it is written: a number, or rows and columns.
func pair(rows, columns int) any {
	if rows == columns || columns == 0 {
		return rows
	}
	return []int{rows, columns}
}

// MarshalJSON writes the config in the layout that it came in, with the keys that
// came, sorted.
func (c *Config) MarshalJSON() ([]byte, error) {
	if marshal := c.kind().marshal; marshal != nil {
		m, err := marshal(c, len(c.Labels))
		if err != nil {
			return nil, err
		}
		return json.Marshal(m)
	}
	m := map[string]any{}
	for k, v := range c.raw {
		m[k] = v
	}
	delete(m, "num_labels")
	sizes := map[string]any{"hidden_act": c.actWritten(), "layer_norm_eps": decimal(c.LayerNormEps),
		"image_size": pair(c.stored()), "patch_size": c.PatchSize}
	for key, n := range c.sizes() {
		sizes[key] = *n
	}
	if c.tower == "" {
		maps.Copy(m, sizes)
	} else if err := c.marshalTower(m, sizes); err != nil {
		return nil, err
	}
	for key, v := range c.kind().write(c) {
		if m[key] = v; v == nil { // no key of this family
			if delete(m, key); c.raw[key] != nil {
				m[key] = c.raw[key]
			}
		}
	}
	if delete(m, "problem_type"); c.ProblemType != "" {
		m["problem_type"] = c.ProblemType
	}
	if len(c.Labels) > 0 {
		ids, names := map[string]string{}, map[string]int{}
		for i, l := range c.Labels {
			ids[strconv.Itoa(i)], names[l] = l, i
		}
		m["id2label"], m["label2id"] = ids, names
	}
	return json.Marshal(asCame(m, c.raw))
}

// decimal is a number that is written with a point, as libraries want one that may
// have a fraction.
type decimal float64

// MarshalJSON writes at least one digit after the point.
func (d decimal) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(float64(d))
	if err == nil && !bytes.ContainsAny(b, ".e") {
		b = append(b, ".0"...)
	}
	return b, err
}

// asCame has the values that are equal to those that came written as they came.
func asCame(m map[string]any, came map[string]json.RawMessage) map[string]any {
	for key, v := range m {
		raw, ok := came[key]
		if !ok {
			continue
		}
		var was, is any
		now, err := json.Marshal(v)
		if err == nil && json.Unmarshal(now, &is) == nil && json.Unmarshal(raw, &was) == nil && reflect.DeepEqual(was, is) {
			m[key] = raw
		}
	}
	return m
}

// marshalTower writes the sizes below the key that they came below, and below the
// old key of that, which counts where it is.
func (c *Config) marshalTower(m, sizes map[string]any) error {
	for _, key := range []string{c.tower, c.tower + "_dict"} {
		raw := c.raw[key]
		if key != c.tower && (len(raw) == 0 || string(raw) == "null") {
			continue
		}
		tower, err := takeObject(maps.Clone(c.raw), key)
		if err != nil {
			return err
		}
		nested := map[string]any{}
		for k, v := range tower {
			nested[k] = v
		}
		maps.Copy(nested, sizes)
		m[key] = asCame(nested, tower)
	}
	return nil
}

// set replaces a key at the top, for what a save decides.
func (c *Config) set(key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.raw = maps.Clone(c.raw)
	if c.raw == nil {
		c.raw = map[string]json.RawMessage{}
	}
	c.raw[key] = raw
	return nil
}
