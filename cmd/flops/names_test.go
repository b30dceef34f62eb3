package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
	"github.com/spf13/cobra"
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
	odd := nameList{"red, wild", "a\nb", `ca"t`}
	var again nameList
	if testkit.Must(t, again.Set(odd.String())); !slices.Equal(again, odd) {
		t.Errorf("%q is written as %s and read as %q", odd, odd.String(), again)
	}
}

// What a flag of names begins with gives way to the first that are given, nothing given is
// none, and no line of names is dropped.
func TestUsualNames(t *testing.T) {
	for given, want := range map[string][]string{"": {"a", "b"}, "c": {"c"}, "c,d|e": {"c", "d", "e"}, "c\nd": {"c", "d"},
		" c , d": {"c", "d"}, "|": {"", ""}} {
		c := &cobra.Command{}
		read := settingFlag(c, "names", "names", []string{"a", "b"})
		for _, v := range strings.Split(given, "|") {
			if given != "" {
				testkit.Must(t, c.Flags().Set("names", v))
			}
		}
		if got := read().([]string); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
	c := &cobra.Command{}
	read := settingFlag(c, "names", "names", []string{"a"})
	if testkit.Must(t, c.Flags().Set("names", "")); len(read().([]string)) != 0 {
		t.Errorf("nothing given is %q", read())
	}
}
