package filekind

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// start is the first text of a file, behind a byte order mark, blanks and the
// comments of markup, in lower case.
func start(head []byte) []byte {
	text := bytes.ToLower(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))
	for {
		text = bytes.TrimLeft(text, " \t\r\n")
		if !bytes.HasPrefix(text, []byte("<!--")) {
			return text
		}
		end := bytes.Index(text, []byte("-->"))
		if end < 0 {
			return text
		}
		text = text[end+3:]
	}
}

// markup matches text that begins with one of some tags.
func markup(tags ...string) func([]byte) bool {
	return func(head []byte) bool { return begins(tags...)(start(head)) }
}

func isHTML(head []byte) bool {
	return markup("<!doctype html", "<html", "<head", "<body", "<title", "<script", "<meta")(head) ||
		markup("<?xml")(head) && bytes.Contains(start(head), []byte("<html"))
}

func isSVG(head []byte) bool {
	return markup("<svg", "<!doctype svg")(head) || markup("<?xml")(head) && bytes.Contains(start(head), []byte("<svg"))
}

func isJSON(head []byte) bool {
	text := start(head)
	if !begins("{", "[")(text) || !isText(head) {
		return false
	}
	next := bytes.TrimLeft(text[1:], " \t\r\n")
	return len(next) == 0 || bytes.ContainsAny(next[:1], `"{}[]0123456789-tfn`)
}

// isText says whether nothing but printed characters and blanks is there. The
// last character may be cut.
func isText(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n == 1 {
			return len(head) < utf8.UTFMax && !utf8.FullRune(head)
		}
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return false
		}
		head = head[n:]
	}
	return true
}

// isNetpbm matches P1 to P7 and a blank, then a digit or a comment.
func isNetpbm(head []byte) bool {
	if len(head) < 4 || head[0] != 'P' || head[1] < '1' || head[1] > '7' {
		return false
	}
	return bytes.ContainsAny(head[2:3], " \t\r\n") && bytes.ContainsAny(head[3:4], "0123456789# WH")
}
