package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

// Names are parted by commas and line breaks, none is lost, and such as say nothing are
// refused by the flag that they came from.
func TestNameList(t *testing.T) {
	for given, want := range map[string]string{
		"cat,dog":           "cat|dog",
		" cat , dog ":       "cat|dog",
		"cat\ndog,bird":     "cat|dog|bird",
		"cat\r\ndog":        "cat|dog",
		`"red, wild","a b"`: "red, wild|a b",
		"猫,ñandú,🐈":         "猫|ñandú|🐈",
		"":                  "without a name",
		" ":                 "without a name",
		"cat,,dog":          "without a name",
		"cat,":              "without a name",
		"cat, cat":          `"cat" stands twice`,
		"cat,\xff\xfe":      "no text in UTF-8",
		`ca"t`:              "bare",
	} {
		var n nameList
		err := n.Set(given)
		if err == nil {
			err = n.check("--labels")
		}
		if err != nil && !strings.Contains(err.Error(), want) || err == nil && strings.Join(n, "|") != want {
			t.Errorf("%q: %q, %v; want %s", given, n, err, want)
		}
	}
	var n nameList
	testkit.Must(t, n.Set("a,b"))
	testkit.Must(t, n.Set("c"))
	if n.String() != "a,b,c" {
		t.Errorf("given twice: %s", n.String())
	}
}

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
