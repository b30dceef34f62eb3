package data

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// labelOf is the label in a .cls, .json or .txt member, "" where there is none.
// A text is a label where it is a number or one of the class names; others are
// captions.
func labelOf(ext string, text []byte, names []string) string {
	word := strings.TrimSpace(string(text))
	switch ext {
	case "cls":
		return word
	case "txt":
		if _, err := strconv.Atoi(word); err != nil && Match([]string{word}, names)[0] < 0 {
			return ""
		}
		return word
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

// namesBeside reads the class names of shards: a line each of classes.txt in
// their folder, or failing that at data.path; nil where there is none.
func namesBeside(shard, root string) ([]string, error) {
	for _, dir := range []string{filepath.Dir(shard), root} {
		path := filepath.Join(dir, "classes.txt")
		if !isFile(path) {
			continue
		}
		raw, err := readFile(path)
		if err != nil {
			return nil, err
		}
		var names []string
		for line := range strings.Lines(strings.TrimPrefix(string(raw), "\ufeff")) {
			if line = strings.TrimSpace(line); line != "" {
				names = append(names, line)
			}
		}
		return names, distinct(path, names)
	}
	return nil, nil
}

// name makes labels of the texts: numbers if all are, else sorted words.
func (t *tarShards) name(labels, names []string, shard string) error {
	numeric, most, words := true, -1, map[string]bool{}
	for _, l := range labels {
		n, err := strconv.Atoi(l)
		numeric = numeric && err == nil
		most = max(most, n)
		words[l] = true
	}
	switch {
	case numeric && most >= maxLabel:
		return uierr.New(fmt.Sprintf("%s: label %d, the limit is %d", shard, most, maxLabel-1), "number the classes from 0")
	case names != nil:
		t.classes = names
	case numeric:
		t.classes = numbers(most + 1)
	default:
		t.classes = sortedKeys(words)
	}
	at := Match(labels, t.classes)
	for i, l := range labels {
		n := at[i]
		if numeric {
			if n, _ = strconv.Atoi(l); n >= len(t.classes) {
				n = -1
			}
		}
		if n < 0 {
			return uierr.New(fmt.Sprintf("%s: label %q is none of the %d classes", t.items[i].Path, l, len(t.classes)),
				"correct the label, or classes.txt beside the shards")
		}
		t.items[i].Label = n
	}
	return nil
}
