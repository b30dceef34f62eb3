package data

import (
	"fmt"

	"github.com/flops-vit/flops/internal/uierr"
)

// Left is what lies in a dataset and is none of its images: files of other
// kinds, pictures where none are looked for, samples without a label.
type Left struct {
	Count  int    `json:"count"`
	What   string `json:"what"`   // "files", "pictures", "samples", "rows", "folders", "shards"
	Reason string `json:"reason"` // why they are left out
	First  string `json:"first"`  // the first of them
	// Lost says that these could have been images of the dataset; files that
	// merely lie around are not. Open refuses them unless data.on_bad is skip.
	Lost bool   `json:"lost"`
	hint string // what to do about lost ones
}

// String is "2 files: not named as pictures (.csv), the first is a/labels.csv".
func (l Left) String() string {
	what := l.What
	if l.Count == 1 {
		what = what[:len(what)-1]
	}
	return fmt.Sprintf("%d %s: %s, the first is %s", l.Count, what, l.Reason, l.First)
}

// maxReasons bounds the list of what is left out: a hostile dataset can give
// every file an extension of its own.
const maxReasons = 32

// leave counts n things that are no images; a hint makes them lost ones.
func (t *table) leave(n int, what, reason, path, hint string) {
	for i := range t.left {
		if l := &t.left[i]; l.What == what && l.Reason == reason {
			l.Count += n
			return
		}
	}
	if hint == "" && len(t.left) >= maxReasons {
		t.leave(n, "files", "other names", path, "")
		return
	}
	t.left = append(t.left, Left{Count: n, What: what, Reason: reason, First: path, Lost: hint != "", hint: hint})
}

// refuseLost is the error of the first lost images, nil where there are none.
func refuseLost(src source, where, split string) error {
	for _, l := range src.leftOut() {
		if l.Lost {
			return uierr.New(fmt.Sprintf("%s: the %s split leaves out %v", where, split, l),
				l.hint+", or leave them out: data.on_bad: skip")
		}
	}
	return nil
}

// LeftOut lists what lies in a dataset and is none of its images, the images
// aside that Skipped lists.
func LeftOut(ds Dataset) []Left {
	if s, ok := ds.(source); ok {
		return s.leftOut()
	}
	return nil
}

// noImages is the error of a split without any, with what was left out.
func noImages(src source, where, split string) error {
	what := fmt.Sprintf("%s: the %s split holds no images", where, split)
	if left := src.leftOut(); len(left) > 0 {
		hint := left[0].hint
		if hint == "" {
			hint = "'flops data inspect' lists all that was left out, and why"
		}
		return uierr.New(fmt.Sprintf("%s; left out: %v", what, left[0]), hint)
	}
	return uierr.New(what, "check data.path, data.classes and data.validation")
}
