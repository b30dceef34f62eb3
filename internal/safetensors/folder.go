package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/uierr"
)

// The names in a folder: of the one file, or of the list of several.
const (
	ModelName = "model.safetensors"
	IndexName = "model.safetensors.index.json"
)

// maxShards bounds the files of one model, all of which are open at once.
const maxShards = 256

// ErrNone is the cause of the error about a folder without weights.
var ErrNone = errors.New("no " + ModelName + " and no " + IndexName)

// Folder has the tensors of a model folder, in one file or in several.
type Folder struct {
	files  []*File
	holder map[string]*File // by tensor
}

// OpenFolder opens model.safetensors, or the shards that its index names, or the
// first of other files that is there. Where there is none, the error's cause is
// ErrNone.
func OpenFolder(dir string, others ...string) (*Folder, error) {
	w := &Folder{holder: map[string]*File{}}
	err := w.open(dir)
	for _, name := range others {
		if path := filepath.Join(dir, name); errors.Is(err, ErrNone) && fsys.Exists(path) {
			err = w.add(path)
		}
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *Folder) open(dir string) error {
	single := filepath.Join(dir, ModelName)
	if _, err := os.Stat(single); err == nil {
		return w.add(single)
	}
	path := filepath.Join(dir, IndexName)
	raw, err := fsys.ReadSmall(path, jsonobj.MaxFile)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w", dir, ErrNone)
	}
	if err != nil {
		return fsys.ReadError(err, path)
	}
	index, err := parseIndex(raw)
	if err != nil {
		return uierr.Wrap(err, fmt.Sprintf("%s: not a sound index: %v", path, err),
			"get the file again from where the model came from")
	}
	for _, shard := range index.files {
		if err := w.add(filepath.Join(dir, shard)); err != nil {
			return err
		}
	}
	return w.compare(path, index)
}

// add opens one file and takes its tensors in.
func (w *Folder) add(path string) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	w.files = append(w.files, f)
	for _, t := range f.Tensors() {
		if other := w.holder[t.Name]; other != nil {
			return uierr.New(fmt.Sprintf("%s: tensor %s is also in %s", path, t.Name, other.path),
				"the shards belong to different models; get them again")
		}
		w.holder[t.Name] = f
	}
	return nil
}

// compare checks that index and shards agree on where each tensor is.
func (w *Folder) compare(path string, x *shardIndex) error {
	const hint = "index and shards belong to different models; get them again"
	for _, name := range x.names {
		f := w.holder[name]
		if f == nil || filepath.Base(f.path) != x.file[name] {
			return uierr.New(fmt.Sprintf("%s: tensor %s is not in %s", path, jsonobj.Clip(name), x.file[name]), hint)
		}
	}
	for name, f := range w.holder {
		if x.file[name] == "" {
			return uierr.New(fmt.Sprintf("%s: tensor %s of %s is not listed", path, jsonobj.Clip(name), f.path), hint)
		}
	}
	return nil
}

// Close closes the files.
func (w *Folder) Close() {
	for _, f := range w.files {
		_ = f.Close() // opened for reading: nothing can be lost
	}
}

// Infos lists every tensor, file by file.
func (w *Folder) Infos() []Info {
	var all []Info
	for _, f := range w.files {
		all = append(all, f.Tensors()...)
	}
	return all
}

// Bytes is the size of all files.
func (w *Folder) Bytes() (int64, error) {
	var n int64
	for _, f := range w.files {
		st, err := f.f.Stat()
		if err != nil {
			return 0, err
		}
		n += st.Size()
	}
	return n, nil
}

// shardIndex is a checked model.safetensors.index.json.
type shardIndex struct {
	names []string          // tensors, in the order of the file
	file  map[string]string // shard of each
	files []string          // shards, sorted
}

func parseIndex(raw []byte) (*shardIndex, error) {
	x := &shardIndex{file: map[string]string{}}
	seen := map[string]bool{}
	err := jsonobj.Each(raw, func(key string, d *json.Decoder) error {
		if key != "weight_map" {
			var skip json.RawMessage
			return d.Decode(&skip)
		}
		return jsonobj.Members(d, func(name string, d *json.Decoder) error {
			file, err := jsonobj.Text(d)
			if err != nil {
				return fmt.Errorf("weight_map: %s: %w", jsonobj.Clip(name), err)
			}
			// A shard stands beside its index: anything else could reach
			// outside the folder.
			if strings.ContainsAny(file, `/\:`) || !filepath.IsLocal(file) || !strings.HasSuffix(file, ".safetensors") {
				return fmt.Errorf("weight_map: %s: %q is not the name of a safetensors file beside the index", jsonobj.Clip(name),
					jsonobj.Clip(file))
			}
			x.names = append(x.names, name)
			x.file[name] = file
			if !seen[file] {
				seen[file] = true
				x.files = append(x.files, file)
			}
			if len(x.files) > maxShards {
				return fmt.Errorf("weight_map: more than %d files", maxShards)
			}
			return nil
		})
	})
	if err == nil && len(x.files) == 0 {
		err = errors.New("weight_map is missing or empty")
	}
	sort.Strings(x.files)
	return x, err
}

// Holder is the file that a tensor is in; nil where none is.
func (w *Folder) Holder(name string) *File { return w.holder[name] }

// Metadata is the free text of the first file's header.
func (w *Folder) Metadata() map[string]string { return w.files[0].Metadata() }

// Names are those of the files, sorted.
func (w *Folder) Names() []string {
	var names []string
	for _, f := range w.files {
		names = append(names, filepath.Base(f.path))
	}
	sort.Strings(names)
	return names
}
