// Package filekind names files by their first bytes, for the errors of those
// who wanted another kind: a photograph in a format that is not read, a web
// page that was saved in place of a picture, a pointer of Git LFS in place of
// weights. The names of files are not looked at; they are often wrong.
package filekind

import (
	"bytes"
	"fmt"
	"io"

	"github.com/flops-vit/flops/internal/uierr"
)

// Head is the number of bytes that are enough to name a file.
const Head = 1024

// kind is one entry of the registry.
type kind struct {
	name  string // with its article: "a PDF document"
	hint  string // what to do about it
	match func(head []byte) bool
	// never is true of what is never right where a program put a file of its
	// own: a pointer, a web page, weights in another format.
	never bool
}

// Of returns what a file is by its first bytes, as an error whose hint says
// what to do; nil where they say nothing.
func Of(head []byte) error {
	for _, k := range kinds {
		if k.match(head) {
			return uierr.New("this is "+k.name, k.hint)
		}
	}
	return nil
}

// Misplaced is Of for files that may be of any kind but those that stand by
// mistake where another file should: a Git LFS pointer or a web page, which is
// what a fetch that went wrong leaves, or weights that another program wrote.
func Misplaced(head []byte) error {
	for _, k := range kinds {
		if k.never && k.match(head) {
			return uierr.New("this is "+k.name, k.hint)
		}
	}
	return nil
}

// MisplacedIn is Misplaced for an open file. One that cannot be read is left to
// its reader.
func MisplacedIn(r io.ReaderAt) error {
	head := make([]byte, Head)
	n, _ := r.ReadAt(head, 0) // short files end early, and a failing disk fails again
	return Misplaced(head[:n])
}

// At adds the path of the file to an error of Of or Misplaced.
func At(path string, err error) error {
	hint := ""
	if u, ok := uierr.As(err); ok {
		hint = u.Hint
	}
	return uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err), hint)
}

// begins matches files that begin with one of some strings.
func begins(with ...string) func([]byte) bool { return at(0, with...) }

// at matches files that have one of some strings at an offset.
func at(offset int, with ...string) func([]byte) bool {
	return func(head []byte) bool {
		if len(head) < offset {
			return false
		}
		for _, w := range with {
			if bytes.HasPrefix(head[offset:], []byte(w)) {
				return true
			}
		}
		return false
	}
}

// riff matches the forms of the RIFF container.
func riff(form string) func([]byte) bool {
	return func(head []byte) bool { return begins("RIFF")(head) && at(8, form)(head) }
}

// brand matches ISO media files (ISO 14496-12) of which one of some brands is
// named, the major one or a compatible one.
func brand(names ...string) func([]byte) bool {
	return func(head []byte) bool {
		if !at(4, "ftyp")(head) {
			return false
		}
		size := int(head[2])<<8 | int(head[3])
		list := head[8:min(max(size, 12), len(head))]
		for i := 0; i+4 <= len(list); i += 4 {
			for _, n := range names {
				if i != 4 && string(list[i:i+4]) == n { // the second word is a version
					return true
				}
			}
		}
		return false
	}
}
