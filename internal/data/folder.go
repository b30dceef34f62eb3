package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/imagefile"
	"github.com/flops-vit/flops/internal/uierr"
)

func init() { register(kind{"folder", openFolder, sniffFolder}) }

// folder is class folders of pictures: PATH/train/CLASS/*. The
// classes are the sorted names of the folders of the training split, so that a
// label means the same in every split. Names that begin with a dot are passed
// over; everything else in a class folder must be an image.
type folder struct{ table }

func openFolder(cfg config.Data, part string) (source, error) {
	root, err := splitFolder(cfg, part)
	if err != nil {
		return nil, err
	}
	names, err := subfolders(root)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, uierr.New(root+": no class folders in it", "put the images of each class into a folder of its own, "+filepath.Join(root, "CLASS", "*.jpg"))
	}
	classes := names
	if train, err := splitFolder(cfg, Train); part == Test && err == nil {
		if classes, err = subfolders(train); err != nil {
			return nil, err
		}
	}
	f := &folder{table{classes: classes}}
	for _, name := range names {
		label := slices.Index(classes, name)
		if len(cfg.Classes) > 0 && !slices.Contains(cfg.Classes, name) {
			continue
		}
		if label < 0 {
			return nil, uierr.New(fmt.Sprintf("%s: the training split has no class %q", filepath.Join(root, name), name),
				"rename the folder, or list the classes to keep in data.classes")
		}
		if err := f.add(cfg.Path, filepath.Join(root, name), label); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// add appends the files of one class folder.
func (f *folder) add(base, dir string, label int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return unreadable(dir, err)
	}
	n := len(f.items)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		id := path
		if rel, err := filepath.Rel(base, path); err == nil {
			id = filepath.ToSlash(rel)
		}
		f.items = append(f.items, Info{Path: path, Label: label, ID: id})
	}
	if len(f.items) == n {
		return uierr.New(fmt.Sprintf("%s: class %q is empty", dir, filepath.Base(dir)), "add images, remove the folder, or list the classes to keep in data.classes")
	}
	return nil
}

// splitFolder finds the folder of a part. PATH itself serves as the test split
// where it holds class folders and no splits, which is what a person hands to
// an evaluation; as a training split only on the explicit name ".".
func splitFolder(cfg config.Data, part string) (string, error) {
	name, err := partName(cfg, part)
	if err != nil {
		return "", err
	}
	st, err := os.Stat(cfg.Path)
	if err != nil || !st.IsDir() {
		if err == nil {
			err = errors.New("not a folder")
		}
		return "", uierr.Wrap(err, fmt.Sprintf("data.path: %s: %s", cfg.Path, reason(err)), "give the folder that holds "+name+"/CLASS/*.jpg")
	}
	dir := filepath.Join(cfg.Path, name)
	if isDir(dir) {
		return dir, nil
	}
	if part == Test && !isDir(filepath.Join(cfg.Path, partDefault(cfg.Train, Train))) && !isDir(filepath.Join(cfg.Path, Test)) {
		return cfg.Path, nil
	}
	return "", uierr.Wrap(ErrNoSplit, fmt.Sprintf("%s: there is no such folder", dir),
		fmt.Sprintf("make it, or set data.%s to the name of the split's folder (\".\" for data.path itself)", part))
}

// partName is the name of a part on the disk, without tricks.
func partName(cfg config.Data, part string) (string, error) {
	name := partDefault(cfg.Train, Train)
	if part == Test {
		name = partDefault(cfg.Test, Test)
	}
	if cfg.Path == "" {
		return "", uierr.New(fmt.Sprintf("data.path is empty, and kind %q needs it", cfg.Kind), "give the folder or file that holds the data")
	}
	if !filepath.IsLocal(name) {
		return "", uierr.New(fmt.Sprintf("data.%s: %q leads out of data.path", part, name), "name a folder inside data.path")
	}
	return name, nil
}

func partDefault(name, fallback string) string {
	if name == "" {
		return fallback
	}
	return name
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// subfolders lists the folders, and links to folders, of a folder.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, unreadable(dir, err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && isDir(filepath.Join(dir, e.Name())) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func (f *folder) Image(i int) (*Image, error) {
	data, err := readFile(f.items[i].Path)
	return f.decode(i, data, err)
}

func (f *folder) check(i int) error { return checkFile(f.items[i].Path) }
func (f *folder) Close() error      { return nil }
func (f *folder) namesSplits()      {}

func (f *folder) encoded(i int) (string, []byte, error) {
	data, err := readFile(f.items[i].Path)
	return imagefile.Ext(data), data, err
}

// sniffFolder looks for a folder that holds folders.
func sniffFolder(path string) bool {
	names, err := subfolders(path)
	return err == nil && len(names) > 0
}
