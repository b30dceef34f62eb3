package data

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// labelOf is the label in a .cls or .json member, "" where there is none.
func labelOf(ext string, text []byte) string {
	if ext == "cls" {
		return strings.TrimSpace(string(text))
	}
	var doc map[string]json.RawMessage
	if json.Unmarshal(text, &doc) != nil {
		return ""
	}
	for _, key := range []string{"label", "cls"} {
		var s string
		var n int64
		if raw, ok := doc[key]; ok {
			if json.Unmarshal(raw, &s) == nil && s != "" {
				return s
			}
			if json.Unmarshal(raw, &n) == nil {
				return strconv.FormatInt(n, 10)
			}
		}
	}
	return ""
}

// name makes labels of the texts: numbers if all are, else sorted words.
func (t *tarShards) name(labels, every []string, shard string) error {
	if names := filepath.Join(filepath.Dir(shard), "classes.txt"); isFile(names) {
		raw, err := readFile(names)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(raw)) {
			if line = strings.TrimSpace(line); line != "" {
				t.classes = append(t.classes, line)
			}
		}
	}
	numeric, most, words := true, -1, map[string]int{}
	for _, l := range every {
		n, err := strconv.Atoi(l)
		numeric = numeric && err == nil
		most = max(most, n)
		words[l] = 0
	}
	if numeric {
		if most >= maxLabel {
			return uierr.New(fmt.Sprintf("%s: label %d, the limit is %d", shard, most, maxLabel-1), "number the classes from 0")
		}
		if t.classes == nil {
			t.classes = numbers(most + 1)
		}
	} else if t.classes == nil {
		t.classes = slices.Sorted(maps.Keys(words))
	}
	for i, c := range t.classes {
		words[c] = i
	}
	for i, l := range labels {
		n, known := words[l]
		if numeric {
			n, _ = strconv.Atoi(l)
			known = n >= 0 && n < len(t.classes)
		} else {
			known = known && t.classes[n] == l
		}
		if !known {
			return uierr.New(fmt.Sprintf("%s: label %q is none of the %d classes", t.items[i].Path, l, len(t.classes)), "correct the label, or classes.txt beside the shards")
		}
		t.items[i].Label = n
	}
	return nil
}
