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

// shardFiles lists the files of a part: PATH itself, PATH/PART/*ext, or the
// files at PATH, PATH/data and one level below that begin with the part's name.
func shardFiles(cfg config.Data, part, ext string) ([]string, error) {
	name, err := partName(cfg, part)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(cfg.Path)
	if err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("data.path: %s: %s", cfg.Path, reason(err)), "give a *"+ext+" file or the folder that holds them")
	}
	if !st.IsDir() {
		if part == Train && name != "." {
			return nil, uierr.New(fmt.Sprintf("data.path: %s is one file, without splits", cfg.Path), "set data.train to \".\" to train on it, or give the folder that holds "+name+"*"+ext)
		}
		return []string{cfg.Path}, nil
	}
	var all []string
	for _, pattern := range []string{"*" + ext, "*/*" + ext} {
		found, err := filepath.Glob(filepath.Join(escape(cfg.Path), pattern))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	var mine []string
	for _, p := range all {
		rel, _ := filepath.Rel(cfg.Path, p)
		rel = filepath.ToSlash(rel)
		if name == "." && !strings.Contains(rel, "/") || strings.HasPrefix(rel, name+"/") || strings.HasPrefix(path.Base(rel), name) {
			mine = append(mine, p)
		}
	}
	if len(mine) == 0 {
		return nil, uierr.Wrap(ErrNoSplit, fmt.Sprintf("%s: no files %s*%s among %d %s files", cfg.Path, name, ext, len(all), ext),
			fmt.Sprintf("name them so, or set data.%s to what their names begin with (\".\" for all at data.path)", part))
	}
	slices.Sort(mine)
	return mine, nil
}

// escape keeps a path's own brackets from being a pattern.
func escape(path string) string {
	if os.PathSeparator == '\\' {
		return path
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func sniffShards(path, ext string) bool {
	if strings.HasSuffix(path, ext) {
		return true
	}
	for _, pattern := range []string{"*" + ext, "*/*" + ext} {
		if found, _ := filepath.Glob(filepath.Join(escape(path), pattern)); len(found) > 0 {
			return true
		}
	}
	return false
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}
