package data

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/internal/config"
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
		return nil, uierr.New(fmt.Sprintf("%s: no files %s*%s among %d %s files", cfg.Path, name, ext, len(all), ext),
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

func sniffTar(path string) bool { return sniffShards(path, ".tar") }

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

// labelOf is the label in a .cls or .json member, "" where there is none.
func labelOf(ext string, text []byte) string {
	if ext == "cls" {
		return strings.TrimSpace(string(text))
	}
	var doc map[string]json.RawMessage
	if json.Unmarshal(text, &doc) != nil {
		return ""
	}
	for _, key := range []string{"label", "cls"} {
		var s string
		var n int64
		if raw, ok := doc[key]; ok {
			if json.Unmarshal(raw, &s) == nil && s != "" {
				return s
			}
			if json.Unmarshal(raw, &n) == nil {
				return strconv.FormatInt(n, 10)
			}
		}
	}
	return ""
}

// name makes labels of the texts: numbers if all are, else sorted words.
func (t *tarShards) name(labels, every []string, shard string) error {
	if names := filepath.Join(filepath.Dir(shard), "classes.txt"); isFile(names) {
		raw, err := readFile(names)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(raw)) {
			if line = strings.TrimSpace(line); line != "" {
				t.classes = append(t.classes, line)
			}
		}
	}
	numeric, most, words := true, -1, map[string]int{}
	for _, l := range every {
		n, err := strconv.Atoi(l)
		numeric = numeric && err == nil
		most = max(most, n)
		words[l] = 0
	}
	if numeric {
		if most >= maxLabel {
			return uierr.New(fmt.Sprintf("%s: label %d, the limit is %d", shard, most, maxLabel-1), "number the classes from 0")
		}
		if t.classes == nil {
			t.classes = numbers(most + 1)
		}
	} else if t.classes == nil {
		t.classes = slices.Sorted(maps.Keys(words))
	}
	for i, c := range t.classes {
		words[c] = i
	}
	for i, l := range labels {
		n, known := words[l]
		if numeric {
			n, _ = strconv.Atoi(l)
			known = n >= 0 && n < len(t.classes)
		} else {
			known = known && t.classes[n] == l
		}
		if !known {
			return uierr.New(fmt.Sprintf("%s: label %q is none of the %d classes", t.items[i].Path, l, len(t.classes)), "correct the label, or classes.txt beside the shards")
		}
		t.items[i].Label = n
	}
	return nil
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

func (t *tarShards) encoded(i int) (string, []byte, error) {
	m := t.at[i]
	data := make([]byte, m.size)
	if _, err := t.files[m.file].ReadAt(data, m.offset); err != nil {
		return "", nil, unreadable(t.items[i].Path, err)
	}
	return format(data), data, nil
}

// Image decodes image i.
func (t *tarShards) Image(i int) (*Image, error) { return decodeOf(t, i) }

// decodeOf decodes the file behind image i.
func decodeOf(s source, i int) (*Image, error) {
	_, data, err := s.encoded(i)
	if err != nil {
		return nil, err
	}
	im, err := DecodeImage(data)
	if err != nil {
		return nil, unreadable(s.Info(i).Path, err)
	}
	return im, nil
}

func (t *tarShards) check(i int) error {
	m := t.at[i]
	head := make([]byte, min(m.size, 4096))
	_, err := t.files[m.file].ReadAt(head, m.offset)
	if err == nil {
		err = header(head, m.size)
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
