package tokenizer

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

func index(s, sub string) int {
	if sub == "" {
		return -1
	}
	return strings.Index(s, sub)
}

// lowered is a text composed (NFC) and in lower case, letter by letter: no letter's
// place in a word matters.
func lowered(s string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(s) {
		if r == 'İ' { // the one letter whose small form is two characters
			b.WriteString("i\u0307")
			continue
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// The kinds of characters that words are made of.
const (
	space = iota
	letter
	digit
	other
)

func kind(r rune) int {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.Is(unicode.N, r):
		return digit
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// words splits a text as CLIP's expression does,
// 's|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+ , and leaves out the white
// space between.
func words(s string) []string {
	var out []string
	for s != "" {
		n := contraction(s)
		k := letter
		if n == 0 {
			n, k = run(s)
		}
		if k != space {
			out = append(out, s[:n])
		}
		s = s[n:]
	}
	return out
}

// contraction is the length of the one that a text begins with, or 0.
func contraction(s string) int {
	if s[0] != '\'' {
		return 0
	}
	for _, c := range contractions {
		if strings.HasPrefix(s, c) {
			return len(c)
		}
	}
	return 0
}

// run is the length of the characters of one kind that a text begins with; a digit
// stands alone.
func run(s string) (n, of int) {
	of = -1
	for i, r := range s {
		k := kind(r)
		if of < 0 {
			of = k
		} else if k != of || of == digit {
			return i, of
		}
	}
	return len(s), of
}
