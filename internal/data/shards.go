package data

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/uierr"
)

// shardFile is a file of a dataset that is kept in shards.
type shardFile struct {
	path  string
	dir   string // below data.path, "." for that itself
	base  string
	split string // by its name
	ext   string // as it stands in the name
}

// listShards lists the files at a folder, and one level below, whose names end
// with one of some extensions in large or small letters. Hidden ones are passed
// over, and packed copies of files that are there.
func listShards(root string, exts []string) ([]shardFile, error) {
	var all []shardFile
	here := map[string]bool{}
	var walk func(dir string, deeper bool) error
	walk = func(dir string, deeper bool) error {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			return unopened(filepath.Join(root, dir), err)
		}
		for _, e := range entries {
			rel := path.Join(dir, e.Name())
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			ext := shardExt(e.Name(), exts)
			if deeper || ext != "" { // nothing else is worth a look at what it is
				if isFolder(e, filepath.Join(root, rel)) {
					ext = ""
					if deeper {
						err = walk(rel, false)
					}
				}
			}
			if ext != "" {
				here[strings.ToLower(rel)] = true
				all = append(all, shardFile{filepath.Join(root, rel), path.Dir(rel), e.Name(), splitOfFile(rel, ext), ext})
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	err := walk(".", true)
	return slices.DeleteFunc(all, func(s shardFile) bool {
		name := strings.ToLower(path.Join(s.dir, s.base))
		packed := !strings.EqualFold(s.ext, exts[0])
		return packed && here[strings.TrimSuffix(name, strings.ToLower(s.ext))+exts[0]]
	}), err
}

// shardExt is the end of a name that is one of exts, the longest first.
func shardExt(name string, exts []string) string {
	found := ""
	for _, e := range exts {
		if n := len(name) - len(e); n >= 0 && strings.EqualFold(name[n:], e) && len(e) > len(found) {
			found = name[n:]
		}
	}
	return found
}

// shardSplits are the splits that the names of shards tell. Files whose names
// only begin with those of the config are of these, as shardFiles has it.
func shardSplits(exts ...string) func(config.Data) []string {
	return func(cfg config.Data) []string {
		if !isDir(cfg.Path) {
			return nil
		}
		all, _ := listShards(cfg.Path, exts)
		has := map[string]bool{}
		for _, s := range all {
			has[s.split] = true
		}
		var names []string
		for _, s := range all {
			name := s.split
			for _, want := range []string{cfg.Train, cfg.Test} {
				if want != "" && !has[want] && strings.HasPrefix(s.base, want) {
					name = want
				}
			}
			if name != "" {
				names = append(names, name)
			}
		}
		return names
	}
}

// shardFiles lists the files of a part: PATH itself, PATH/PART/*ext, or the
// files at PATH and one level below of the split's name (PART-00000*ext); where
// there are none, those whose names begin with it.
func shardFiles(cfg config.Data, part string, exts ...string) ([]string, error) {
	name, err := partName(cfg, part)
	if err != nil {
		return nil, err
	}
	ext := exts[0]
	st, err := os.Stat(cfg.Path)
	if err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("data.path: %s: %s", cfg.Path, reason(err)),
			"give a *"+ext+" file or the folder that holds them")
	}
	if !st.IsDir() {
		if part == Train && name != "." {
			return nil, uierr.Wrap(ErrNoSplit, fmt.Sprintf("data.path: %s is one file, without splits", cfg.Path),
				"set data.train to \".\" to train on it, or give the folder that holds "+name+"*"+ext)
		}
		return []string{cfg.Path}, nil
	}
	all, err := listShards(cfg.Path, exts)
	if err != nil {
		return nil, err
	}
	for _, fits := range []func(shardFile) bool{
		func(s shardFile) bool { return s.dir == name || s.split == name },
		func(s shardFile) bool { return strings.HasPrefix(s.base, name) },
	} {
		var mine []string
		dirs := map[string]bool{}
		for _, s := range all {
			if fits(s) {
				mine, dirs[s.dir] = append(mine, s.path), true
			}
		}
		if len(dirs) > 1 {
			return nil, uierr.New(fmt.Sprintf("%s: the files of the split %s lie in %d folders: %s", cfg.Path, name, len(dirs),
				list(sortedKeys(dirs))),
				"give the folder of one of them as data.path")
		}
		if len(mine) > 0 {
			slices.Sort(mine)
			return mine, nil
		}
	}
	return nil, noSplit(cfg, part, name, filepath.Join(cfg.Path, name+"*"+ext))
}

func sniffShards(path string, exts ...string) bool {
	if shardExt(path, exts) != "" {
		return true
	}
	all, _ := listShards(path, exts)
	return len(all) > 0
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// escape keeps a path's own brackets from being a pattern.
func escape(path string) string {
	if os.PathSeparator == '\\' {
		return path
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
