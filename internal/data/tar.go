package data

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/filekind"
	"github.com/flops-vit/flops/internal/imagefile"
	"github.com/flops-vit/flops/internal/uierr"
)

func init() { register(kind{"tar", openTar, sniffTar}) }

const (
	maxLabelFile = 1 << 20 // bytes of a .cls or .json member
	maxLabel     = 1 << 20 // largest label, so that a number in a file cannot size a list
)

// tarShards is shards in the layout of webdataset: members KEY.jpg (or .jpeg,
// .png) beside KEY.cls, a label in text, or KEY.json with a field label (or
// cls). Labels are numbers, named by classes.txt beside the shards where there
// is one, or words. Only headers and labels are read at the start; an image is
// read where it lies. Links, devices, sparse members and names that lead out of
// the archive are refused.
type tarShards struct {
	table
	files []*os.File
	at    []member // of each image
}

// member is where an image lies.
type member struct {
	file   int
	offset int64
	size   int64
}

// sample gathers the members of one key while a shard is read.
type sample struct {
	member
	name  string // of the image
	label string // "": none yet
}

func openTar(cfg config.Data, part string) (source, error) {
	shards, err := shardFiles(cfg, part, ".tar")
	if err != nil {
		return nil, err
	}
	t := &tarShards{}
	var labels []string
	for _, path := range shards {
		if labels, err = t.scan(path, part, labels); err != nil {
			t.Close()
			return nil, err
		}
	}
	every := labels
	if part == Test { // words number alike in every split
		if train, err := shardFiles(cfg, Train, ".tar"); err == nil {
			other := &tarShards{}
			for _, path := range train {
				if every, err = other.scan(path, Train, every); err != nil {
					break
				}
			}
			if err = errors.Join(err, other.Close()); err != nil {
				t.Close()
				return nil, err
			}
		}
	}
	if err := t.name(labels, every, shards[0]); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func sniffTar(path string) bool { return sniffShards(path, ".tar") }

// scan reads the headers and labels of one shard and appends its images; the
// labels are those of all images so far.
func (t *tarShards) scan(file, part string, labels []string) ([]string, error) {
	refuse := func(format string, a ...any) error {
		return uierr.New(file+": "+fmt.Sprintf(format, a...), "make the shard again, with plain members KEY.jpg and KEY.cls and an uncompressed tar")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	t.files = append(t.files, f)
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil, unreadable(file, errors.Join(err, errors.New("not a regular file")))
	}
	if err := filekind.MisplacedIn(f); err != nil {
		return nil, filekind.At(file, err)
	}
	r := tar.NewReader(f) // reads whole blocks and seeks, so the file stands at a member's data after Next
	var order []string
	samples := map[string]*sample{}
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, refuse("%s", reason(err))
		}
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := plain(h); err != nil {
			return nil, refuse("%v", err)
		}
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if h.Size > st.Size()-at {
			return nil, refuse("member %q claims %d bytes, and %d are left", h.Name, h.Size, st.Size()-at)
		}
		dir, base := path.Split(h.Name)
		stem, ext, _ := strings.Cut(base, ".")
		if stem == "" {
			continue
		}
		s := samples[dir+stem]
		if s == nil {
			s = &sample{}
			samples[dir+stem] = s
			order = append(order, dir+stem)
		}
		switch ext {
		case "jpg", "jpeg", "png":
			if s.name != "" {
				return nil, refuse("key %q has two images", dir+stem)
			}
			s.member, s.name = member{len(t.files) - 1, at, h.Size}, h.Name
		case "cls", "json":
			if h.Size > maxLabelFile {
				return nil, refuse("member %q: %d bytes for a label, the limit is %d", h.Name, h.Size, maxLabelFile)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				return nil, refuse("member %q: %s", h.Name, reason(err))
			}
			if label := labelOf(ext, text); label != "" && (s.label == "" || ext == "cls") {
				s.label = label
			}
		}
	}
	for _, key := range order {
		s := samples[key]
		switch {
		case s.name == "": // other annotations
		case s.label == "":
			return nil, refuse("%q has no label: no member %s.cls, and no field label or cls in %s.json", s.name, key, key)
		case s.size > MaxFileBytes:
			return nil, refuse("%q has %d bytes, the limit for an image is %d", s.name, s.size, MaxFileBytes)
		default:
			t.items = append(t.items, Info{Path: file + "[" + s.name + "]", ID: part + "/" + filepath.Base(file) + "/" + s.name})
			t.at = append(t.at, s.member)
			labels = append(labels, s.label)
		}
	}
	return labels, nil
}

// plain refuses everything but a file that stays in its archive.
func plain(h *tar.Header) error {
	switch {
	case h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink:
		return fmt.Errorf("member %q is a link to %q", h.Name, h.Linkname)
	case h.Typeflag != tar.TypeReg:
		return fmt.Errorf("member %q is of type %q, not a plain file", h.Name, h.Typeflag)
	case !filepath.IsLocal(h.Name) || slices.Contains(strings.Split(h.Name, "/"), "..") || strings.Contains(h.Name, `\`):
		return fmt.Errorf("member %q leads out of the archive", h.Name)
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") {
			return fmt.Errorf("member %q is sparse", h.Name)
		}
	}
	return nil
}

func (t *tarShards) encoded(i int) (string, []byte, error) {
	m := t.at[i]
	data := make([]byte, m.size)
	if _, err := t.files[m.file].ReadAt(data, m.offset); err != nil {
		return "", nil, unreadable(t.items[i].Path, err)
	}
	return imagefile.Ext(data), data, nil
}

// Image decodes image i.
func (t *tarShards) Image(i int) (*Image, error) {
	_, data, err := t.encoded(i)
	return t.decode(i, data, err)
}

func (t *tarShards) check(i int) error {
	m := t.at[i]
	head := make([]byte, min(m.size, 4096))
	_, err := t.files[m.file].ReadAt(head, m.offset)
	if err == nil {
		err = imagefile.Check(head, m.size)
	}
	if err != nil {
		return unreadable(t.items[i].Path, err)
	}
	return nil
}

// Close closes the shards.
func (t *tarShards) namesSplits() {}

func (t *tarShards) Close() error {
	var all error
	for _, f := range t.files {
		all = errors.Join(all, f.Close())
	}
	return all
}
