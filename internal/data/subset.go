package data

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// subset is a view of a source: some of its images, under other labels.
type subset struct {
	source
	classes []string
	index   []int // position in the source
	label   []int // the source's class to ours, -1: left out
	skipped []Broken
}

func (s *subset) Len() int          { return len(s.index) }
func (s *subset) Classes() []string { return s.classes }
func (s *subset) Info(i int) Info {
	in := s.source.Info(s.index[i])
	in.Label = s.label[in.Label]
	return in
}
func (s *subset) Image(i int) (*Image, error) { return s.source.Image(s.index[i]) }
func (s *subset) encoded(i int) (string, []byte, error) {
	return s.source.encoded(s.index[i])
}
func (s *subset) check(i int) error { return s.source.check(s.index[i]) }

// view is a source under a list of classes that holds all of its own.
func view(src source, classes []string) *subset {
	s := &subset{source: src, classes: classes, label: Match(src.Classes(), classes), index: make([]int, src.Len())}
	for i := range s.index {
		s.index[i] = i
	}
	return s
}

// choose applies the filters in the order classes, broken images, split,
// few-shot. The members of a class's split and few-shot subset depend on
// split_seed, the class's name and its images alone.
func choose(src source, classes []string, cfg config.Data, split string) (*subset, error) {
	if cfg.OnBad != "skip" {
		if err := refuseLost(src, where(cfg), split); err != nil {
			return nil, err
		}
	}
	s := view(src, classes)
	if err := s.relabel(cfg.Classes); err != nil {
		return nil, err
	}
	s.index = slices.DeleteFunc(s.index, func(i int) bool { return s.label[src.Info(i).Label] < 0 })
	if err := s.verify(cfg.OnBad == "skip", workers(cfg.Workers)); err != nil {
		return nil, err
	}
	members := make([][]int, len(s.classes))
	for _, i := range s.index {
		c := s.label[src.Info(i).Label]
		members[c] = append(members[c], i)
	}
	s.index = s.index[:0]
	for c, m := range members {
		if split == Train && len(m) == 0 && (cfg.Kind == "folder" || len(cfg.Classes) > 0) {
			return nil, uierr.New(fmt.Sprintf("%s: class %q has no readable images in the %s split", cfg.Path, s.classes[c],
				split),
				"add images, or name the classes to keep in data.classes")
		}
		s.index = append(s.index, pick(m, s.classes[c], cfg, split)...)
	}
	slices.Sort(s.index)
	if len(s.index) == 0 {
		return nil, noImages(src, where(cfg), split)
	}
	return s, nil
}

// where is what messages call the dataset.
func where(cfg config.Data) string {
	if cfg.Path == "" {
		return "data: " + cfg.Kind
	}
	return cfg.Path
}

// relabel keeps the named classes, in their order; all when none are named.
func (s *subset) relabel(keep []string) error {
	if len(keep) == 0 {
		return nil
	}
	for n, at := range Match(keep, s.classes) {
		if at < 0 {
			return uierr.New(fmt.Sprintf("data.classes: the data has no class %q, the nearest is %q", keep[n],
				nearest(keep[n], s.classes)),
				fmt.Sprintf("it has %d classes: %s", len(s.classes), list(s.classes)))
		}
	}
	for n, at := range Match(keep, keep) {
		if at != n {
			return uierr.New(fmt.Sprintf("data.classes: %q stands there twice", keep[n]), "name each class once")
		}
	}
	s.classes = slices.Clone(keep)
	s.label = Match(s.source.Classes(), keep)
	return nil
}

// listed is the most things that list names.
const listed = 12

// list names at most a dozen things.
func list(names []string) string {
	out := ""
	for i, n := range names {
		if i == listed {
			return out + ", ..."
		}
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out
}

// verify drops broken images, or returns the first of them as the error.
func (s *subset) verify(skip bool, workers int) error {
	bad := make([]error, len(s.index))
	parallel(workers, len(s.index), func(i int) {
		if skip {
			_, bad[i] = s.source.Image(s.index[i])
		} else {
			bad[i] = s.source.check(s.index[i])
		}
	})
	kept := s.index[:0]
	for i, err := range bad {
		var user *uierr.Error
		switch {
		case err == nil:
			kept = append(kept, s.index[i])
		case skip && errors.As(err, &user):
			s.skipped = append(s.skipped, Broken{s.source.Info(s.index[i]).Path, reason(err)})
		default:
			return err
		}
	}
	s.index = kept
	return nil
}

// pick returns the members of one class that belong to the split.
func pick(members []int, class string, cfg config.Data, split string) []int {
	if split == Test || split == Validation && cfg.ValidationSplit != "" || cfg.Validation == 0 && cfg.PerClass() == 0 {
		return members
	}
	h := fnv.New32a()
	h.Write([]byte(class))
	order := noise.Rand(uint64(cfg.SplitSeed), noise.Split, h.Sum32()).Perm(len(members))
	held := int(math.Round(cfg.Validation * float64(len(members))))
	if cfg.Validation > 0 && len(members) > 1 {
		held = min(max(held, 1), len(members)-1)
	}
	if split == Validation {
		order = order[:held]
	} else {
		order = order[held:]
		if cfg.PerClass() > 0 {
			order = order[:min(cfg.PerClass(), len(order))]
		}
	}
	out := make([]int, len(order))
	for i, o := range order {
		out[i] = members[o]
	}
	return out
}

// Balanced is a view of n images of a dataset, as many of each class as of any
// other, or all of a class that has fewer; all images where n is 0 or more than
// there are. Which they are depends on seed, the class's name and its images
// alone, so that experiments which differ in nothing else look at the same ones.
func Balanced(ds Dataset, n int, seed int64) Dataset {
	s, ok := ds.(*subset)
	if !ok || n <= 0 || n >= ds.Len() {
		return ds
	}
	members := make([][]int, len(s.classes))
	for _, i := range s.index {
		c := s.label[s.source.Info(i).Label]
		members[c] = append(members[c], i)
	}
	for c, m := range members {
		h := fnv.New32a()
		h.Write([]byte(s.classes[c]))
		order := noise.Rand(uint64(seed), noise.Split, h.Sum32(), 1).Perm(len(m))
		for k, o := range order {
			order[k] = m[o]
		}
		members[c] = order
	}
	view := *s
	view.index = nil
	for k := 0; len(view.index) < n; k++ {
		for _, m := range members {
			if k < len(m) && len(view.index) < n {
				view.index = append(view.index, m[k])
			}
		}
	}
	slices.Sort(view.index)
	return &view
}
