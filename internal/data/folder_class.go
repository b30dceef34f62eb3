package data

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/imagefile"
	"github.com/flops-vit/flops/internal/uierr"
)

// outside counts the files that lie beside the class folders.
func (f *folder) outside(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return unopened(root, err)
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), ".") || isFolder(e, path):
		case imagefile.HasName(e.Name()):
			f.leave(1, "pictures", "beside the class folders, in none of them", path, "")
		default:
			f.leave(1, "files", "beside the class folders", path, "")
		}
	}
	return nil
}

// add appends the pictures of one class folder.
func (f *folder) add(base, dir string, label int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return unopened(dir, err)
	}
	n, beside := len(f.items), f.left
	f.left = nil
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !f.sort(e, path) {
			continue
		}
		id := path
		if rel, err := filepath.Rel(base, path); err == nil {
			id = filepath.ToSlash(rel)
		}
		f.items = append(f.items, Info{Path: path, Label: label, ID: id})
	}
	if len(f.items) == n {
		what := fmt.Sprintf("%s: class %q is empty", dir, filepath.Base(dir))
		if len(f.left) > 0 {
			what = fmt.Sprintf("%s: class %q is empty; left out: %v", dir, filepath.Base(dir), f.left[0])
		}
		return uierr.New(what, "add images, remove the folder, or list the classes to keep in data.classes")
	}
	mine := f.left
	f.left = beside
	for _, l := range mine {
		f.leave(l.Count, l.What, l.Reason, l.First, l.hint)
	}
	return nil
}

// sort says whether an entry of a class folder is a picture of the class, and
// counts it as left out if it is not.
func (f *folder) sort(e os.DirEntry, path string) bool {
	name := e.Name()
	switch {
	case strings.HasPrefix(name, "."):
		f.leave(1, "files", "hidden, their names begin with a dot", path, "")
	case isFolder(e, path):
		if n, first := pictures(path); n > 0 {
			f.leave(n, "pictures", "in folders inside of class folders, and class folders are not searched", first,
				"move them up into the class folder")
		} else {
			f.leave(1, "folders", "without pictures, inside of class folders", path, "")
		}
	case imagefile.HasName(name):
		return true
	case isUnread(name):
		f.leave(1, "pictures", unreadReason+" ("+extension(name)+")", path, convertHint)
	case extension(name) != "":
		f.leave(1, "files", "not named as pictures ("+extension(name)+")", path, "")
	case checkFile(path) == nil:
		return true
	default:
		f.leave(1, "files", "not named as pictures, and none by their first bytes", path, "")
	}
	return false
}

// pictures counts the files below a folder that are named as pictures.
func pictures(dir string) (n int, first string) {
	root := dir
	if real, err := filepath.EvalSymlinks(dir); err == nil { // WalkDir follows no links
		root = real
	}
	filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return filepath.SkipDir
		}
		if hidden := strings.HasPrefix(e.Name(), "."); hidden && e.IsDir() && path != root {
			return filepath.SkipDir
		} else if !hidden && !e.IsDir() && imagefile.HasName(e.Name()) {
			if n++; n == 1 {
				first = filepath.Join(dir, strings.TrimPrefix(path, root))
			}
		}
		return nil
	})
	return n, first
}
