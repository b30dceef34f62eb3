package data

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/imagefile"
	"github.com/flops-vit/flops/internal/uierr"
)

// ErrNoSplit is the cause of the errors that say that a dataset has no such
// split, which where there is a validation split is no trouble.
var ErrNoSplit = errors.New("no such split")

// The usual names of splits.
var (
	validationWords = []string{"val", "valid", "validation", "dev", "eval"}
	splitWords      = slices.Concat([]string{"train", "training"}, validationWords,
		[]string{"test", "testing"}) // in the order in which they are told
)

// Splits lists the splits that a dataset has on the disk, readable or not, by
// the names that data.train and data.test take: the training split first. None
// where the data is not divided, as one file or a folder of class folders.
func Splits(cfg config.Data) []string {
	k, err := lookup(cfg.Kind)
	if err != nil || k.splits == nil {
		return nil
	}
	rank := func(name string) int {
		if name == partDefault(cfg.Train, Train) {
			return -1
		}
		if at := slices.Index(splitWords, strings.ToLower(name)); at >= 0 {
			return at
		}
		return len(splitWords)
	}
	found := k.splits(cfg)
	slices.SortFunc(found, func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	return slices.Compact(found)
}

// Part is a split of a dataset by its name on the disk.
type Part struct {
	Name   string
	Split  string      // Train or Test, the argument of Open
	Config config.Data // of Open: that of the dataset with this name
}

// Parts lists the splits of a dataset as Open finds them: those on the disk, and
// where they have no names there the training and the test split, which may be
// missing.
func Parts(cfg config.Data) []Part {
	names := Splits(cfg)
	if len(names) == 0 {
		return []Part{{Train, Train, cfg}, {Test, Test, cfg}}
	}
	out := make([]Part, len(names))
	for i, n := range names {
		out[i] = Part{n, Train, cfg}
		if n != partDefault(cfg.Train, Train) {
			out[i].Split, out[i].Config.Test = Test, n
		}
	}
	return out
}

// noSplit is the error of a split that is not there; it names those that are.
func noSplit(cfg config.Data, part, name, layout string) error {
	if there := Splits(cfg); len(there) > 0 {
		return uierr.Wrap(ErrNoSplit, fmt.Sprintf("%s: no split %s; there are %s", cfg.Path, name, list(there)),
			fmt.Sprintf("set data.%s to the name of another one (--%[1]s of 'flops data', --split of eval), or make %s%s",
				part, layout, alternative(cfg, part)))
	}
	what := fmt.Sprintf("%s: there is no such folder or file, and no other split", layout)
	if other := otherKind(cfg.Path, cfg.Kind); other != "" {
		return uierr.Wrap(ErrNoSplit, what, fmt.Sprintf("%s looks like data of another kind: set data.kind: %s", cfg.Path,
			other))
	}
	return uierr.Wrap(ErrNoSplit, what,
		fmt.Sprintf("make it, or set data.%s to the name of the split (\".\" for data.path itself)", part))
}

// alternative is how a run does without a test split.
func alternative(cfg config.Data, part string) string {
	if part != Test || cfg.HasValidation() {
		return ""
	}
	for _, name := range Splits(cfg) {
		if slices.Contains(validationWords, strings.ToLower(name)) {
			return "; to train without one: data.validation_split: " + name
		}
	}
	return ""
}

func isSplitWord(name string) bool { return slices.Contains(splitWords, strings.ToLower(name)) }

// folderSplits are the folders at PATH with the usual names of splits or those
// of the config; failing these all folders, where each holds folders and no
// pictures.
func folderSplits(cfg config.Data) []string {
	names, err := subfolders(cfg.Path)
	if err != nil {
		return nil
	}
	var found []string
	for _, n := range names {
		if n != cfg.Train && n != cfg.Test && !isSplitWord(n) {
			continue
		}
		dir := filepath.Join(cfg.Path, n)
		if below, err := subfolders(dir); err != nil || len(below) > 0 || !holdsPictures(dir) { // else a class of this name
			found = append(found, n)
		}
	}
	if len(found) > 0 {
		return found
	}
	for _, n := range names {
		dir := filepath.Join(cfg.Path, n)
		below, err := subfolders(dir)
		if err != nil || len(below) == 0 || holdsPictures(dir) {
			return nil
		}
	}
	return names
}

// classFolders says whether a dataset, or one of its splits, has folders that
// can be classes.
func classFolders(cfg config.Data) bool {
	dirs := folderSplits(cfg)
	for i, d := range dirs {
		dirs[i] = filepath.Join(cfg.Path, d)
	}
	if len(dirs) == 0 {
		dirs = []string{cfg.Path}
	}
	return slices.ContainsFunc(dirs, func(dir string) bool {
		names, err := subfolders(dir)
		return err == nil && len(names) > 0
	})
}

// holdsPictures says whether a folder holds pictures, by their names.
func holdsPictures(dir string) bool {
	entries, _ := os.ReadDir(dir)
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !e.IsDir() && imagefile.HasName(e.Name()) })
}

// shardNumber is what follows the split in the name of a shard:
// -00000-of-00001, with a hash behind it in Hugging Face's, or _000017.
var shardNumber = regexp.MustCompile(`([-_.]?\d+-of-\d+([-_.][0-9a-fA-F]+)?|[-_.]?\d+)$`)

// splitOfFile is the split that the name of a shard tells: its folder where
// that has a usual name or the file is only numbered, else what stands before
// the number.
func splitOfFile(rel, ext string) string {
	dir, base := path.Split(filepath.ToSlash(rel))
	dir = strings.TrimSuffix(dir, "/")
	stem := base[:len(base)-len(ext)]
	stem = strings.TrimRight(strings.TrimSuffix(stem, shardNumber.FindString(stem)), "-_.")
	if dir != "" && (stem == "" || isSplitWord(dir)) {
		return dir
	}
	return stem
}
