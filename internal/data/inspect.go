package data

import (
	"errors"
	"fmt"
	"os"
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

// SplitReport describes one split. Images counts the broken ones too.
type SplitReport struct {
	Name    string       `json:"name"`
	Images  int          `json:"images"`
	Classes []ClassCount `json:"classes"`
	Sizes   []SizeCount  `json:"sizes"` // most frequent first
	Formats []string     `json:"formats"`
	Broken  []Broken     `json:"broken"`
}

// ClassCount is the number of images of a class.
type ClassCount struct {
	Class  string `json:"class"`
	Images int    `json:"images"`
}

// SizeCount is the number of images of a size.
type SizeCount struct {
	W      int `json:"width"`
	H      int `json:"height"`
	Images int `json:"images"`
}

// Guess names the kind of dataset at a path.
func Guess(path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", uierr.Wrap(err, fmt.Sprintf("%s: %s", path, reason(err)), "give the folder or file that holds the data")
	}
	folder := false
	for _, k := range kinds {
		if k.sniff != nil && k.sniff(path) {
			if k.name != "folder" { // which any folder of folders looks like
				return k.name, nil
			}
			folder = true
		}
	}
	if folder {
		return "folder", nil
	}
	return "", uierr.New(path+": no data of any known kind", "known are train/CLASS/*.jpg, CIFAR binary, IDX, *.parquet and *.tar (README, Data)")
}

// Inspect guesses the kind of dataset at a path and decodes every image of
// every split that is there.
func Inspect(path string) (Report, error) {
	name, err := Guess(path)
	if err != nil {
		return Report{}, err
	}
	cfg := config.Default().Data
	cfg.Kind, cfg.Path = name, path
	return InspectConfig(cfg)
}

// InspectConfig is Inspect for a dataset whose kind and names are given. It is
// an error if no split can be opened: that of the training split.
func InspectConfig(cfg config.Data) (Report, error) {
	k, err := lookup(cfg.Kind)
	if err != nil {
		return Report{}, err
	}
	r := Report{Path: cfg.Path, Kind: k.name}
	var failed error
	for _, part := range []string{Train, Test} {
		src, err := k.source(cfg, part)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		r.Splits = append(r.Splits, inspect(src, part))
		if err := src.Close(); err != nil {
			return Report{}, err
		}
	}
	if len(r.Splits) == 0 {
		return Report{}, failed
	}
	return r, nil
}

func inspect(src source, part string) SplitReport {
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
		f.w, f.h = im.W, im.H
		f.ext, _, f.err = src.encoded(i)
	})
	r := SplitReport{Name: part, Images: src.Len(), Broken: []Broken{}, Formats: []string{}}
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
		return a.W < b.W || a.W == b.W && a.H < b.H
	})
	sort.Strings(r.Formats)
	return r
}
