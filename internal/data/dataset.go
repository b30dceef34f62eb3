package data

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/imagefile"
	"github.com/flops-vit/flops/internal/uierr"
)

// The names under which Open and Loader know the parts of a dataset. The names
// on the disk are those of config.Data.Train and Test.
const (
	Train      = "train"
	Validation = "validation"
	Test       = "test"
)

// Info identifies one image of a dataset.
type Info struct {
	Path  string // where a person finds it: a file, or "file[17]" inside one
	Label int    // index into Classes
	ID    string // stable over filters, splits and the place of the dataset on the disk
}

// Image is 8-bit RGB, row by row, three bytes a pixel.
type Image struct {
	Width, Height int
	Pix           []uint8 // 3·Width·Height
}

// Dataset is an ordered collection of labelled images. Methods but Close may
// be called from several goroutines.
type Dataset interface {
	Len() int
	Classes() []string
	Info(i int) Info
	// Image decodes image i. The error is a *uierr.Error that names the file.
	Image(i int) (*Image, error)
	Close() error
}

// Broken is an image that could not be read.
type Broken struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// source is a Dataset as a kind opens it, before filters and splits.
type source interface {
	Dataset
	// encoded is the file behind image i (what imagefile.Ext says and its bytes), or
	// "" where the images are stored as bare pixels.
	encoded(i int) (ext string, data []byte, err error)
	// check looks at image i as far as is cheap, without decoding it.
	check(i int) error
	// decodeAs sets how images are decoded; it is called once, before any is.
	decodeAs(o imagefile.Options)
	// leftOut lists what the part holds beside its images.
	leftOut() []Left
}

// kind is one entry of the registry.
type kind struct {
	name string
	// open reads the part Train or Test. Its classes are those that the part
	// itself tells; Open matches them with the training split's.
	open func(cfg config.Data, part string) (source, error)
	// sniff says whether a path looks like this kind; nil: never.
	sniff func(path string) bool
	// classes are those of the training split; nil: every split tells the same.
	classes func(cfg config.Data) ([]string, error)
	// splits lists the splits on the disk by name, in any order; nil: they have
	// no names there.
	splits func(cfg config.Data) []string
}

// source opens a part and tells it how images are read.
func (k *kind) source(cfg config.Data, part string) (source, error) {
	src, err := k.open(cfg, part)
	if err != nil {
		return nil, err
	}
	src.decodeAs(decoding(cfg))
	return src, nil
}

var kinds []kind

func register(k kind) {
	kinds = append(kinds, k)
	config.Offer("data.kind", k.name)
	sort.Slice(kinds, func(i, j int) bool { return kinds[i].name < kinds[j].name })
}

// Kinds lists the names that config.Data.Kind may have, sorted.
func Kinds() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

func lookup(name string) (*kind, error) {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i], nil
		}
	}
	return nil, uierr.New(fmt.Sprintf("data.kind: there is no kind %q, the nearest is %q", name, nearest(name, Kinds())),
		"use one of "+strings.Join(Kinds(), ", "))
}

// Open opens the split Train, Validation or Test of a dataset. With on_bad:
// skip every image is decoded once, here, and the broken ones are left out
// (Skipped lists them); with refuse the headers are checked here and the first
// broken one is the error. The validation split is cut from the training images
// where data.validation is above 0, and is the part of the data that
// data.validation_split names where it names one.
//
// Classes are matched by name. Those of other splits are the training
// split's, in their order, followed by any that the training split lacks.
func Open(cfg config.Data, split string) (Dataset, error) {
	k, err := lookup(cfg.Kind)
	if err != nil {
		return nil, err
	}
	if err := checkConfig(cfg, split); err != nil {
		return nil, err
	}
	part := split
	if split == Validation {
		part = Train
		if cfg.ValidationSplit != "" {
			part, cfg.Test = Test, cfg.ValidationSplit
		}
	}
	if k.splits == nil && cfg.ValidationSplit != "" {
		return nil, uierr.New(fmt.Sprintf("data.validation_split: data of kind %s has no splits of other names", cfg.Kind),
			"hold a share of the training images out: data.validation: 0.1")
	}
	src, err := k.source(cfg, part)
	if err != nil {
		return nil, asValidation(err, cfg, split)
	}
	ds, err := choose(src, k.align(src, cfg, part), cfg, split)
	if err != nil {
		src.Close()
		return nil, err
	}
	return ds, nil
}

// asValidation tells that there is no split of the name that
// data.validation_split gives; other errors stay.
func asValidation(err error, cfg config.Data, split string) error {
	if split != Validation || cfg.ValidationSplit == "" || !errors.Is(err, ErrNoSplit) {
		return err
	}
	what := fmt.Sprintf("data.validation_split: %s has no split %q", where(cfg), cfg.ValidationSplit)
	if there := Splits(cfg); len(there) > 0 {
		what += "; there are " + list(there)
	}
	return uierr.Wrap(err, what,
		"name one that is there, or hold a share of the training images out: data.validation: 0.1")
}

// align returns the classes under which a part is known: the training split's,
// then those that the part alone has. A training split that is not there, or
// that cannot be read, has no say.
func (k *kind) align(src source, cfg config.Data, part string) []string {
	if part != Test || k.classes == nil {
		return src.Classes()
	}
	classes, err := k.classes(cfg)
	if err != nil {
		return src.Classes()
	}
	return append(slices.Clip(classes), Missing(src.Classes(), classes)...)
}

// checkConfig refuses settings that mean nothing, before any file is opened.
func checkConfig(cfg config.Data, split string) error {
	switch split {
	case Train, Test:
	case Validation:
		if !cfg.HasValidation() {
			return uierr.New("data.validation is 0, so there is no validation split",
				"set data.validation to the share of the training images to hold out, for example 0.1, or data.validation_split "+
					"to the name of a split")
		}
	default:
		return uierr.New(fmt.Sprintf("there is no split %q", split), "use train, validation or test")
	}
	if !(cfg.Validation >= 0 && cfg.Validation < 1) {
		return uierr.New(fmt.Sprintf("data.validation: %v is not a share", cfg.Validation),
			"give a number from 0 up to, but not including, 1")
	}
	if cfg.FewShot < 0 {
		return uierr.New(fmt.Sprintf("data.few_shot: %d images per class", cfg.FewShot),
			"give a positive number, or 0 for all")
	}
	if cfg.OnBad != "" && cfg.OnBad != "refuse" && cfg.OnBad != "skip" {
		return uierr.New(fmt.Sprintf("data.on_bad: there is no %q", cfg.OnBad), "use refuse or skip")
	}
	return nil
}

// Skipped lists the images that on_bad: skip left out.
func Skipped(ds Dataset) []Broken {
	if s, ok := ds.(*subset); ok {
		return s.skipped
	}
	return nil
}

// Counts returns the number of images of each class.
func Counts(ds Dataset) []int {
	n := make([]int, len(ds.Classes()))
	for i := range ds.Len() {
		n[ds.Info(i).Label]++
	}
	return n
}

// table is the part that all sources share.
type table struct {
	classes []string
	items   []Info
	read    imagefile.Options
	left    []Left
}

func (t *table) Len() int          { return len(t.items) }
func (t *table) Classes() []string { return t.classes }
func (t *table) Info(i int) Info   { return t.items[i] }
func (t *table) leftOut() []Left   { return t.left }

func (t *table) decodeAs(o imagefile.Options) { t.read = o }

// decode decodes the file behind image i, as encoded returns it.
func (t *table) decode(i int, data []byte, err error) (*Image, error) {
	if err != nil {
		return nil, err
	}
	im, err := imagefile.Decode(data, t.read)
	if err != nil {
		return nil, unreadable(t.items[i].Path, err)
	}
	return (*Image)(im), nil
}

// nearest returns the candidate with the smallest edit distance to s, without regard to
// case.
func nearest(s string, candidates []string) string {
	if len(candidates) == 0 {
		return ""
	}
	distance := func(c string) int { return uierr.Distance(strings.ToLower(s), strings.ToLower(c)) }
	return slices.MinFunc(candidates, func(a, b string) int { return distance(a) - distance(b) })
}
