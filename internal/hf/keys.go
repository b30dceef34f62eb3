package hf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/flops-vit/flops/internal/jsonobj"
)

// take moves one key of m into dst; a key that is absent or null leaves it.
func take(m map[string]json.RawMessage, key string, dst any) error {
	raw, ok := m[key]
	delete(m, key)
	if !ok || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		return fmt.Errorf("%s: %s is not what should stand there", key, jsonobj.Clip(string(raw)))
	}
	return nil
}

// takeAll takes several keys.
func takeAll(m map[string]json.RawMessage, dst map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(dst)) {
		if err := take(m, key, dst[key]); err != nil {
			return err
		}
	}
	return nil
}

// takePair is take for a size that may also stand as [rows, columns].
func takePair(m map[string]json.RawMessage, key string, rows, columns *int) error {
	raw := m[key]
	if len(raw) == 0 || string(raw) == "null" {
		delete(m, key)
		return nil
	}
	if !bytes.HasPrefix(raw, []byte("[")) {
		*columns = 0
		return take(m, key, rows)
	}
	var pair []int
	if err := take(m, key, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("%s: %v is neither the side of a square nor rows and columns", key, pair)
	}
	if *rows, *columns = pair[0], pair[1]; pair[0] == pair[1] {
		*columns = 0
	}
	return nil
}

// takeObject moves an object out of m; one that is not there has no keys.
func takeObject(m map[string]json.RawMessage, key string) (map[string]json.RawMessage, error) {
	raw := m[key]
	delete(m, key)
	if len(raw) == 0 || string(raw) == "null" {
		return map[string]json.RawMessage{}, nil
	}
	parts, err := jsonobj.Raw(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return parts, nil
}
