package checkpoint

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

const (
	weightsName = "model.safetensors"
	indexName   = "model.safetensors.index.json"
	// maxShards bounds the files of one model, all of which are open at once.
	maxShards = 256
)

// weights are the tensors of a model folder, in one file or in several.
type weights struct {
	files  []*File
	holder map[string]*File // by tensor
}

// openWeights opens model.safetensors, or the shards that its index names.
func openWeights(dir string) (*weights, error) {
	w := &weights{holder: map[string]*File{}}
	err := w.open(dir)
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *weights) open(dir string) error {
	single := filepath.Join(dir, weightsName)
	if _, err := os.Stat(single); err == nil {
		return w.add(single)
	}
	path := filepath.Join(dir, indexName)
	raw, err := fsys.ReadSmall(path, jsonobj.MaxFile)
	if errors.Is(err, os.ErrNotExist) {
		return noWeights(dir)
	}
	if err != nil {
		return fsys.ReadError(err, path)
	}
	index, err := parseIndex(raw)
	if err != nil {
		return uierr.Wrap(err, fmt.Sprintf("%s: not a sound index: %v", path, err), "get the file again from where the model came from")
	}
	for _, shard := range index.files {
		if err := w.add(filepath.Join(dir, shard)); err != nil {
			return err
		}
	}
	return w.compare(path, index)
}

// add opens one file and takes its tensors in.
func (w *weights) add(path string) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	w.files = append(w.files, f)
	for _, t := range f.Tensors() {
		if other := w.holder[t.Name]; other != nil {
			return uierr.New(fmt.Sprintf("%s: tensor %s is also in %s", path, t.Name, other.path), "the shards belong to different models; get them again")
		}
		w.holder[t.Name] = f
	}
	return nil
}

// compare checks that index and shards agree on where each tensor is.
func (w *weights) compare(path string, x *shardIndex) error {
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

func (w *weights) close() {
	for _, f := range w.files {
		_ = f.Close() // opened for reading: nothing can be lost
	}
}

// infos lists every tensor, file by file.
func (w *weights) infos() []Info {
	var all []Info
	for _, f := range w.files {
		all = append(all, f.Tensors()...)
	}
	return all
}

// bytes is the size of all files.
func (w *weights) bytes() (int64, error) {
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
				return fmt.Errorf("weight_map: %s: %q is not the name of a safetensors file beside the index", jsonobj.Clip(name), jsonobj.Clip(file))
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

// noWeights says what the folder has instead of safetensors.
func noWeights(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return fsys.ReadError(err, dir)
	}
	for _, name := range []string{"pytorch_model.bin", "pytorch_model.bin.index.json"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return uierr.New(path+": a Python pickle, which can run any code when it is read, is refused",
				fmt.Sprintf(`convert it: python -c "from transformers import ViTForImageClassification as M; M.from_pretrained('%s').save_pretrained('%s', safe_serialization=True)"`, dir, dir))
		}
	}
	return uierr.New(fmt.Sprintf("%s: no %s and no %s", dir, weightsName, indexName), "give a folder in Hugging Face layout, with config.json and model.safetensors")
}
