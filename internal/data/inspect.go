package data

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"sort"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/uierr"
)

// Report is what Inspect found.
type Report struct {
	Path   string        `json:"path"`
	Kind   string        `json:"kind"`
	Splits []SplitReport `json:"splits"`
}

// SplitReport describes one split. Images counts the broken ones too. A split
// with an Error cannot be used, and has the rest as far as it was found.
type SplitReport struct {
	Name    string       `json:"name"` // on the disk, where it has one there
	Images  int          `json:"images"`
	Classes []ClassCount `json:"classes"`
	Extra   []string     `json:"classes_not_in_train"`
	Sizes   []SizeCount  `json:"sizes"` // most frequent first
	Formats []string     `json:"formats"`
	Broken  []Broken     `json:"broken"`
	LeftOut []Left       `json:"left_out"`
	Error   string       `json:"error,omitempty"` // why it cannot be used
	err     error
}

// ClassCount is the number of images of a class.
type ClassCount struct {
	Class  string `json:"class"`
	Images int    `json:"images"`
}

// SizeCount is the number of images of a size.
type SizeCount struct {
	Width  int `json:"width"`
	Height int `json:"height"`
	Images int `json:"images"`
}

// Inspect decodes every image of every split of a dataset that is there. Splits that
// cannot be read are in the report, with why; Report.Err is the error of them.
// Inspect's own error is that there is none at all.
func Inspect(cfg config.Data) (Report, error) {
	k, err := lookup(cfg.Kind)
	if err != nil {
		return Report{}, err
	}
	r := Report{Path: cfg.Path, Kind: k.name}
	var none error
	for _, p := range Parts(cfg) {
		src, err := k.source(p.Config, p.Split)
		if errors.Is(err, ErrNoSplit) {
			none = cmp.Or(none, err)
			continue
		}
		if err != nil {
			r.Splits = append(r.Splits, brokenSplit(p.Name, err))
			continue
		}
		s := inspect(view(src, k.align(src, p.Config, p.Split)), p.Name, where(cfg))
		if p.Split == Test && k.classes != nil {
			if train, err := k.classes(cfg); err == nil {
				s.Extra = append(s.Extra, Missing(src.Classes(), train)...)
			}
		}
		r.Splits = append(r.Splits, s)
		if err := src.Close(); err != nil {
			return Report{}, err
		}
	}
	if len(r.Splits) == 0 {
		return Report{}, none
	}
	return r, nil
}

// Err is the error of the splits that cannot be used, nil where all can be.
func (r Report) Err() error {
	var names []string
	var first error
	for _, s := range r.Splits {
		if s.err != nil {
			names, first = append(names, s.Name), cmp.Or(first, s.err)
		}
	}
	if first == nil {
		return nil
	}
	what := fmt.Sprintf("%s: %d of %d splits cannot be used: %s; %s", r.Path, len(names), len(r.Splits), list(names),
		first)
	if u, ok := uierr.As(first); ok {
		return uierr.Wrap(first, what, u.Hint)
	}
	return fmt.Errorf("%s: %d of %d splits could not be read: %s; %w", r.Path, len(names), len(r.Splits), list(names),
		first)
}

func brokenSplit(name string, err error) SplitReport {
	return SplitReport{Name: name, Classes: []ClassCount{}, Extra: []string{}, Sizes: []SizeCount{}, Formats: []string{},
		Broken: []Broken{}, LeftOut: []Left{}, Error: err.Error(), err: err}
}

// inspect decodes every image of a split.
func inspect(src source, name, where string) SplitReport {
	type finding struct {
		w, h int
		ext  string
		err  error
	}
	found := make([]finding, src.Len())
	parallel(runtime.GOMAXPROCS(0), src.Len(), func(i int) {
		f := &found[i]
		im, err := src.Image(i)
		if err != nil {
			f.err = err
			return
		}
		f.w, f.h = im.Width, im.Height
		f.ext, _, f.err = src.encoded(i)
	})
	r := SplitReport{Name: name, Images: src.Len(), Classes: []ClassCount{}, Extra: []string{}, Sizes: []SizeCount{},
		Formats: []string{},
		Broken:  []Broken{}, LeftOut: append([]Left{}, src.leftOut()...)}
	for c, n := range Counts(src) {
		r.Classes = append(r.Classes, ClassCount{src.Classes()[c], n})
	}
	sizes, formats := map[[2]int]int{}, map[string]bool{}
	for i, f := range found {
		if f.err != nil {
			r.Broken = append(r.Broken, Broken{src.Info(i).Path, reason(f.err)})
			continue
		}
		sizes[[2]int{f.w, f.h}]++
		if f.ext == "" {
			f.ext = "pixels"
		}
		if !formats[f.ext] {
			formats[f.ext] = true
			r.Formats = append(r.Formats, f.ext)
		}
	}
	for s, n := range sizes {
		r.Sizes = append(r.Sizes, SizeCount{s[0], s[1], n})
	}
	sort.Slice(r.Sizes, func(i, j int) bool {
		a, b := r.Sizes[i], r.Sizes[j]
		if a.Images != b.Images {
			return a.Images > b.Images
		}
		return a.Width < b.Width || a.Width == b.Width && a.Height < b.Height
	})
	sort.Strings(r.Formats)
	if r.Images == 0 {
		r.err = noImages(src, where, name)
	} else if len(r.Broken) == r.Images {
		r.err = uierr.New(fmt.Sprintf("%s: none of the %d images of the %s split can be read, the first is %s (%s)",
			where, r.Images, name, r.Broken[0].Path, r.Broken[0].Reason), "give pictures, or another split")
	}
	if r.err != nil {
		r.Error = r.err.Error()
	}
	return r
}
