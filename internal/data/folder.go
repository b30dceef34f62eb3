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

func init() {
	register(kind{name: "folder", open: openFolder, sniff: sniffFolder, classes: folderClasses, splits: folderSplits})
}

// folder is class folders of pictures: PATH/train/CLASS/*. The classes are the
// sorted names of the folders. As in torchvision's ImageFolder the files are
// those that are named as pictures; others are left out, and so is what lies in
// folders inside of class folders. A file without any extension counts where
// its first bytes are a picture's.
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
		return nil, noClassFolders(cfg.Path, root)
	}
	if err := distinct(root, names); err != nil {
		return nil, err
	}
	f := &folder{table{classes: names}}
	if err := f.outside(root); err != nil {
		return nil, err
	}
	for label, at := range Match(names, cfg.Classes) {
		if len(cfg.Classes) > 0 && at < 0 {
			continue
		}
		if err := f.add(cfg.Path, filepath.Join(root, names[label]), label); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// folderClasses are the names of the folders of the training split.
func folderClasses(cfg config.Data) ([]string, error) {
	root, err := splitFolder(cfg, Train)
	if err != nil {
		return nil, err
	}
	return subfolders(root)
}

// noClassFolders is the error of a folder without folders; it names data of
// another kind that lies there.
func noClassFolders(path, root string) error {
	what := root + ": no class folders in it"
	if err := foreign(path); err != nil {
		return err
	}
	if other := otherKind(path, "folder"); other != "" {
		return uierr.New(what, fmt.Sprintf("%s looks like data of another kind: set data.kind: %s", path, other))
	}
	return uierr.New(what, "put the images of each class into a folder of its own, "+filepath.Join(root, "CLASS", "*.jpg"))
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
		if errors.Is(err, os.ErrPermission) {
			return "", unopened(cfg.Path, err)
		}
		return "", uierr.Wrap(err, fmt.Sprintf("data.path: %s: %s", cfg.Path, reason(err)),
			"give the folder that holds "+name+"/CLASS/*.jpg")
	}
	dir := filepath.Join(cfg.Path, name)
	switch st, err := os.Stat(dir); {
	case err == nil && st.IsDir():
		return dir, nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return "", unopened(dir, err)
	}
	if part == Test && len(folderSplits(cfg)) == 0 {
		return cfg.Path, nil
	}
	return "", noSplit(cfg, part, name, dir)
}

// partName is the name of a part on the disk, without tricks.
func partName(cfg config.Data, part string) (string, error) {
	name := partDefault(cfg.Train, Train)
	if part == Test {
		name = partDefault(cfg.Test, Test)
	}
	if cfg.Path == "" {
		return "", uierr.New(fmt.Sprintf("data.path is empty, and kind %q needs it", cfg.Kind),
			"give the folder or file that holds the data")
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

// isFolder says whether an entry is a folder or a link to one.
func isFolder(e os.DirEntry, path string) bool {
	return e.IsDir() || e.Type()&os.ModeSymlink != 0 && isDir(path)
}

// subfolders lists the folders, and links to folders, of a folder.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, unopened(dir, err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && isFolder(e, filepath.Join(dir, e.Name())) {
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

func (f *folder) encoded(i int) (string, []byte, error) {
	data, err := readFile(f.items[i].Path)
	return imagefile.Ext(data), data, err
}

// sniffFolder looks for a folder that holds folders.
func sniffFolder(path string) bool {
	names, err := subfolders(path)
	return err == nil && len(names) > 0
}
