package main

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/flops-vit/flops/internal/uierr"
)

// nameList is a flag of names that commas or line breaks part; a name that has one, or a
// quote, is quoted as CSV does it. It may be given several times.
type nameList []string

// Set adds names.
func (n *nameList) Set(s string) error {
	r := csv.NewReader(strings.NewReader(s))
	r.FieldsPerRecord = -1
	lines, err := r.ReadAll()
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		lines = [][]string{{""}} // which check refuses
	}
	*n = append(*n, slices.Concat(lines...)...)
	return nil
}

// Type is how help calls the value.
func (n *nameList) Type() string { return "strings" }

// String is the value, as Set takes it.
func (n *nameList) String() string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	if len(*n) == 0 || w.Write(*n) != nil {
		return ""
	}
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// check takes the spaces around names away, and refuses such as say nothing. flag is
// where they came from.
func (n nameList) check(flag string) error {
	seen := map[string]bool{}
	for i, name := range n {
		name = strings.TrimSpace(name)
		switch n[i] = name; {
		case name == "":
			return uierr.New(flag+": a class without a name", "give "+flag+" NAME,NAME")
		case !utf8.ValidString(name):
			return uierr.New(fmt.Sprintf("%s: %q is no text in UTF-8", flag, name), "write the name in UTF-8")
		case seen[name]:
			return uierr.New(fmt.Sprintf("%s: %q stands twice", flag, name), "name each class once")
		}
		seen[name] = true
	}
	return nil
}

// list are the names without the spaces around them: none where but the empty one is.
func (n nameList) list() []string {
	out := []string{}
	for _, name := range n {
		out = append(out, strings.TrimSpace(name))
	}
	if len(out) == 1 && out[0] == "" {
		return out[:0]
	}
	return out
}

// usualNames are names that are others' until some are given.
type usualNames struct {
	nameList
	given bool
}

// Set adds names, the first to none.
func (u *usualNames) Set(s string) error {
	if !u.given {
		u.nameList, u.given = nil, true
	}
	return u.nameList.Set(s)
}
