package data

import (
	"archive/tar"
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/internal/imagefile"
)

// sample gathers the members of one key while a shard is read.
type sample struct {
	key    string
	first  string // name of its first member
	exts   []string
	unread string // extension of a picture of a kind that is not read
	images []tarImage
	label  string // "": none yet
	rank   int    // of the label, lower ones come first
}

// tarImage is a picture among the members of a key.
type tarImage struct {
	name   string
	rank   int
	offset int64
	size   int64
}

// keyOf splits a member's name as webdataset does: the key is the folder and
// what stands before the first dot of the name, the extension is the rest, in
// small letters. Both are empty for a name without one of them.
func keyOf(name string) (key, ext string) {
	dir, base := path.Split(name)
	stem, ext, _ := strings.Cut(base, ".")
	if stem == "" || ext == "" {
		return "", ""
	}
	return dir + stem, strings.ToLower(ext)
}

// add looks at a member. names are the class names, where the data has some.
func (s *sample) add(ext string, h *tar.Header, t *tarFile, names []string) error {
	if s.first == "" {
		s.first = h.Name
	}
	s.exts = append(s.exts, "."+ext)
	field, last := "", ext
	if at := strings.LastIndexByte(ext, '.'); at >= 0 {
		field, last = ext[:at], ext[at+1:]
	}
	switch {
	case imagefile.HasName("." + last):
		if h.Size > MaxFileBytes {
			return fmt.Errorf("%q has %d bytes, the limit for an image is %d", h.Name, h.Size, MaxFileBytes)
		}
		at, err := t.place(h)
		s.images = append(s.images, tarImage{h.Name, fieldRank(field, "image", "img"), at, h.Size})
		return err
	case isUnread("." + last):
		s.unread = "." + last
	case last == "cls", last == "json", last == "txt" && field == "":
		if h.Size > maxLabelFile {
			if last == "txt" { // no label
				return nil
			}
			return fmt.Errorf("member %q: %d bytes for a label, the limit is %d", h.Name, h.Size, maxLabelFile)
		}
		text, err := io.ReadAll(t)
		if err != nil {
			return fmt.Errorf("member %q: %s", h.Name, reason(err))
		}
		return s.tell(labelOf(last, text, names), slices.Index([]string{"cls", "json", "txt"}, last)+3*fieldRank(field,
			"label", "class", "target"))
	}
	return nil
}

// fieldRank orders the fields of a sample: KEY.ext, then the usual names of the
// field, then others.
func fieldRank(field string, usual ...string) int {
	switch {
	case field == "":
		return 0
	case slices.Contains(usual, field):
		return 1
	}
	return 2
}

// tell takes a label unless a better one is known.
func (s *sample) tell(label string, rank int) error {
	switch {
	case label == "" || s.label != "" && rank > s.rank:
	case s.label != "" && rank == s.rank && label != s.label:
		return fmt.Errorf("key %q has two labels, %q and %q", s.key, s.label, label)
	default:
		s.label, s.rank = label, rank
	}
	return nil
}

// settle puts the picture of the sample first: of several the one in the field
// of the lowest rank.
func (s *sample) settle() error {
	slices.SortStableFunc(s.images, func(a, b tarImage) int { return cmp.Compare(a.rank, b.rank) })
	if len(s.images) > 1 && s.images[1].rank == s.images[0].rank {
		return fmt.Errorf("key %q has two images, %q and %q", s.key, s.images[0].name, s.images[1].name)
	}
	return nil
}

// gap is why a sample is left out; a hint says that it may be missed.
type gap struct{ reason, hint string }

// missing says what a sample lacks, the zero gap where it lacks nothing.
func (s *sample) missing() gap {
	n, err := strconv.Atoi(s.label)
	switch {
	case len(s.images) == 0 && s.unread != "":
		return gap{unreadReason + " (" + s.unread + ")", convertHint}
	case len(s.images) == 0 && s.label != "":
		return gap{"no picture beside the label (" + list(s.exts) + ")", "put the picture beside it as KEY.jpg or KEY.png"}
	case len(s.images) == 0:
		return gap{"neither a picture nor a label (" + list(s.exts) + ")", ""}
	case s.label == "":
		return gap{"no label: no member KEY.cls, and no field label or cls in KEY.json", "put a label beside it as KEY.cls"}
	case err == nil && n == -1:
		return gap{`label "-1", which stands for none`, "label them, or name another split"}
	}
	return gap{}
}
