package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

// Lines end as on any system; a mark of UTF-8 is no part of the first, and what is no text,
// nothing or there before is refused with its line.
func TestTextLines(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string][]string{
		"a cat\na dog\n":           {"a cat", "a dog"},
		"a cat\r\na dog\r\n":       {"a cat", "a dog"},
		"a cat\r\na dog":           {"a cat", "a dog"},
		"\xef\xbb\xbfa cat\na dog": {"a cat", "a dog"},
		" 猫 \n🐈\n":                 {" 猫 ", "🐈"},
	} {
		path := filepath.Join(dir, "good.txt")
		testkit.Write(t, path, []byte(content))
		if got, err := textLines(path); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
	for content, want := range map[string]string{
		"":                         "holds no text",
		"\n":                       "line 1 is empty",
		"a\r\n\r\nb":               "line 2 is empty",
		"a\n \t\nb":                "line 2 is empty",
		"\xef\xbb\xbf":             "line 1 is empty",
		"a\n\xff\xfeb\n":           "line 2 is no text in UTF-8",
		"a\nb\na\n":                "lines 1 and 3 are the same",
		strings.Repeat("a", 2<<20): "too long",
	} {
		path := filepath.Join(dir, "bad.txt")
		testkit.Write(t, path, []byte(content))
		_, err := textLines(path)
		testkit.Mistake(t, err, "bad.txt", want)
	}
	_, err := textLines(dir)
	testkit.Mistake(t, err, "--texts "+dir)
	_, err = textLines(filepath.Join(dir, "none.txt"))
	testkit.Mistake(t, err, "none.txt")
}
