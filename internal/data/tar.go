package data

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/imagefile"
	"github.com/flops-vit/flops/internal/uierr"
)

// tarNames are the ends of the names of shards, the unpacked one first.
var tarNames = []string{".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.zst", ".tar.xz", ".txz"}

func init() {
	register(kind{name: "tar", open: openTar, classes: tarClasses, splits: shardSplits(tarNames...),
		sniff: func(path string) bool { return sniffShards(path, tarNames...) }})
}

const (
	maxLabelFile = 1 << 20 // bytes of a .cls or .json member
	maxLabel     = 1 << 20 // largest label, so that a number in a file cannot size a list
)

// tarShards is shards in the layout of webdataset: members KEY.jpg (or another
// extension of pictures, or KEY.image.jpg) beside KEY.cls, a label in text, or
// KEY.json with a field label (or cls). A key ends at the first dot of a
// member's name, as webdataset has it, and extensions may be in large letters.
// Labels are numbers, named by classes.txt beside the shards or at data.path
// where there is one, or words. Only headers and labels are read at the start;
// an image is read where it lies, of a packed shard in an unpacked copy of its
// images. Links, devices, sparse members and names that lead out of the archive
// are refused.
type tarShards struct {
	table
	files   []storage // that hold images, for a packed shard a copy of them
	at      []member  // of each image
	headers bool      // for the labels alone: no image is copied
}

// member is where an image lies.
type member struct {
	file   int
	offset int64
	size   int64
}

func openTar(cfg config.Data, part string) (source, error) {
	t := &tarShards{}
	if err := t.open(cfg, part); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// tarClasses are the classes of the training split, from headers and labels.
func tarClasses(cfg config.Data) ([]string, error) {
	t := &tarShards{headers: true}
	err := t.open(cfg, Train)
	return t.classes, errors.Join(err, t.Close())
}

func (t *tarShards) open(cfg config.Data, part string) error {
	shards, err := shardFiles(cfg, part, tarNames...)
	if err != nil {
		return err
	}
	names, err := namesBeside(shards[0], cfg.Path)
	if err != nil {
		return err
	}
	t.leaveMissing(shards, cfg.Path)
	var labels []string
	for _, path := range shards {
		if labels, err = t.scan(path, part, labels, names); err != nil {
			return err
		}
	}
	return t.name(labels, names, shards[0])
}

// scan reads the headers and labels of one shard and appends its images; the
// labels are those of all images so far.
func (t *tarShards) scan(file, part string, labels, names []string) ([]string, error) {
	s, err := openTarFile(file, t.headers)
	if err != nil {
		return nil, err
	}
	if s.images != nil {
		t.files = append(t.files, s.images)
	}
	samples, err := t.samples(s, file, names)
	if e := s.done(); err == nil {
		err = e
	}
	if failed(err) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err != nil {
		return nil, uierr.New(fmt.Sprintf("%s: %s", file, reason(err)),
			"make the shard again, with plain members KEY.jpg and KEY.cls")
	}
	for _, k := range samples {
		if why := k.missing(); why.reason != "" {
			t.leave(1, "samples", why.reason, file+"["+k.first+"]", why.hint)
			continue
		}
		im := k.images[0]
		t.items = append(t.items, Info{Path: file + "[" + im.name + "]",
			ID: part + "/" + filepath.Base(file) + "/" + im.name})
		t.at = append(t.at, member{len(t.files) - 1, im.offset, im.size})
		labels = append(labels, k.label)
	}
	return labels, nil
}

// samples reads the members of a shard and gathers them by their keys, in the
// order of the file.
func (t *tarShards) samples(s *tarFile, file string, names []string) ([]*sample, error) {
	var order []*sample
	byKey := map[string]*sample{}
	for {
		h, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := plain(h); err != nil {
			return nil, err
		}
		if left := s.left(); h.Size > left {
			return nil, fmt.Errorf("member %q claims %d bytes, and %d are left", h.Name, h.Size, left)
		}
		key, ext := keyOf(h.Name)
		if key == "" {
			t.leave(1, "files", "without a key and an extension in their names", file+"["+h.Name+"]", "")
			continue
		}
		k := byKey[key]
		if k == nil {
			k = &sample{key: key}
			byKey[key], order = k, append(order, k)
		}
		if err := k.add(ext, h, s, names); err != nil {
			return nil, err
		}
	}
	for _, k := range order {
		if err := k.settle(); err != nil {
			return nil, err
		}
	}
	return order, nil
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
func (t *tarShards) Close() error {
	var all error
	for _, f := range t.files {
		all = errors.Join(all, f.Close())
	}
	return all
}
