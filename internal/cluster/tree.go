package cluster

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// packTree writes the files of a run folder, but for those that are hidden or of a cluster.
func packTree(out io.Writer, dir string) error {
	w := tar.NewWriter(out)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch name = filepath.ToSlash(name); {
		case name == ".":
			return nil
		case d.IsDir() && (name == folder || !plainTree(name)):
			return fs.SkipDir
		case !d.Type().IsRegular() || !plainTree(name):
			return nil
		}
		return packFile(w, path, name)
	})
	return errors.Join(err, w.Close())
}

// packFile writes a file under a name.
func packFile(w *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Size: st.Size(), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err = io.CopyN(w, f, st.Size())
	return err
}

// unpackTree writes such files into a folder, and none elsewhere.
func unpackTree(in io.Reader, dir string) error {
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || !plainTree(h.Name) || h.Size < 0 {
			return fmt.Errorf("cluster: %q is no file of a run", clean(h.Name, 80))
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := unpackFile(r, h.Size, path, 0o644); err != nil {
			return err
		}
	}
}

// unpackFile writes the file that a reader is at, where there is none yet.
func unpackFile(r *tar.Reader, size int64, path string, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err == nil {
		_, err = io.CopyN(f, r, size)
		err = errors.Join(err, f.Close())
	}
	return err
}

// plainTree says that a name is one of a file at most four folders down.
func plainTree(name string) bool {
	parts := strings.Split(name, "/")
	for _, p := range parts {
		if !plain(p) {
			return false
		}
	}
	return len(parts) <= 5
}
