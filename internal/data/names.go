package data

import (
	"fmt"
	"maps"
	"slices"

	"golang.org/x/text/unicode/norm"

	"github.com/flops-vit/flops/internal/uierr"
)

// Match finds each of some class names among others: its position there, or
// -1. Names that differ only in how Unicode composes their letters (an é of one
// code point or of two, which macOS and Linux write differently) are the same
// where nothing equals the name exactly.
func Match(names, among []string) []int {
	exact, composed := map[string]int{}, map[string]int{}
	for i := len(among) - 1; i >= 0; i-- { // the first of equal names wins
		exact[among[i]], composed[norm.NFC.String(among[i])] = i, i
	}
	out := make([]int, len(names))
	for i, n := range names {
		at, ok := exact[n]
		if !ok {
			at, ok = composed[norm.NFC.String(n)]
		}
		if out[i] = at; !ok {
			out[i] = -1
		}
	}
	return out
}

// Missing lists the names that are not among others, in their order.
func Missing(names, among []string) []string {
	var out []string
	for i, at := range Match(names, among) {
		if at < 0 {
			out = append(out, names[i])
		}
	}
	return out
}

// permutation maps the classes of one file to those of another by name. Lists
// of different names are the error, which shows both.
func permutation(file string, names []string, other string, among []string) ([]int, error) {
	to := Match(names, among)
	seen := slices.Sorted(slices.Values(to))
	if len(names) != len(among) || slices.Contains(to, -1) || len(slices.Compact(seen)) != len(among) {
		return nil, uierr.New(fmt.Sprintf("%s: its classes are %s, and those of %s are %s%s", file, list(names), other,
			list(among), difference(names, among)),
			"write all files of a split from one dataset, with the same class names")
	}
	return to, nil
}

// distinct refuses class names of which two are the same to Match.
func distinct(where string, names []string) error {
	first := map[string]string{}
	for _, n := range names {
		key := norm.NFC.String(n)
		if other, ok := first[key]; ok {
			what := fmt.Sprintf("two classes are named %q", n)
			if other != n {
				what = fmt.Sprintf("the classes %+q and %+q are one name, composed in two ways", other, n)
			}
			return uierr.New(where+": "+what, "give each class a name of its own")
		}
		first[key] = n
	}
	return nil
}

// difference says what two lists do not share, where they are too long to be
// compared by eye.
func difference(names, among []string) string {
	if max(len(names), len(among)) <= listed {
		return ""
	}
	return fmt.Sprintf(" (only here: %s; only there: %s)", list(Missing(names, among)), list(Missing(among, names)))
}

func sortedKeys(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
