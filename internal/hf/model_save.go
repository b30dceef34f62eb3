package hf

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// Save writes a model folder that Load and transformers'
// from_pretrained read, with the tensors as dtype. Each file is written whole
// or not at all; the weights come last.
func Save(disk fsys.FS, dir string, m *Model, dtype safetensors.DType) error {
	files, err := m.Files(dtype)
	if err != nil {
		return err
	}
	if err := disk.MkdirAll(dir); err != nil {
		return fsys.WriteError(err, dir)
	}
	if _, err := os.Stat(filepath.Join(dir, safetensors.IndexName)); err == nil {
		return uierr.New(fmt.Sprintf("%s: holds a model in several files", dir), "choose another folder")
	}
	for _, f := range files {
		if err := fsys.Write(disk, filepath.Join(dir, f.Name), f.Write); err != nil {
			return err
		}
	}
	return nil
}

// Files are the files of the model's folder.
func (m *Model) Files(dtype safetensors.DType) ([]fsys.Content, error) {
	meta := map[string]string{}
	for k, v := range m.Metadata {
		meta[k] = v
	}
	meta["format"] = "pt" // transformers refuses a file without it
	tensors, err := m.ordered()
	if err != nil {
		return nil, err
	}
	var files []fsys.Content
	weights := safetensors.ModelName
	if m.Config != nil {
		c := *m.Config
		if f := c.kind(); f.weights != "" {
			weights = f.weights
		}
		if files, err = m.configs(&c, dtype); err != nil {
			return nil, err
		}
	}
	return append(files,
		fsys.Content{Name: weights,
			Write: func(w io.Writer) error { return safetensors.WriteKept(w, tensors, m.stillKept(), dtype, meta) }}), nil
}

// configs are the files beside the weights.
func (m *Model) configs(c *Config, dtype safetensors.DType) ([]fsys.Content, error) {
	name := ConfigName
	if f := c.kind(); f.config != "" {
		name = f.config
	}
	if c.kind().marshal == nil {
		if err := c.set("architectures", []string{m.class()}); err != nil {
			return nil, err
		}
		for _, key := range []string{"torch_dtype", "dtype"} { // the same thing's older and newer name
			if err := c.set(key, torchName(dtype)); err != nil {
				return nil, err
			}
		}
	}
	config, err := jsonobj.Indented(c)
	if err != nil {
		return nil, err
	}
	files := []fsys.Content{fsys.Bytes(name, config)}
	pre := m.Preprocessor
	if c.kind().marshal != nil && reflect.DeepEqual(pre, c.input) { // which the config says
		return files, nil
	}
	if pre == nil {
		pre = DefaultPreprocessor(c.ImageSize, c.NumChannels)
	}
	processor, err := jsonobj.Indented(pre)
	if err != nil {
		return nil, err
	}
	return append(files, fsys.Bytes(PreprocessorName, processor)), nil
}

// class is transformers' class of the model: that which it came with, unless it
// has got a classifier or lost it.
func (m *Model) class() string {
	c := m.Config
	f, came := c.kind(), c.class
	headed := strings.Contains(came, "ForImageClassification")
	switch {
	case came != "" && (headed == (m.Classes() > 0) || f.headless):
		return came
	case m.Classes() > 0 && f.with != "":
		return f.with
	case f.without != "":
		return f.without
	case c.Projected > 0:
		return "CLIPVisionModelWithProjection"
	case f == siglipVision:
		return "SiglipVisionModel"
	}
	return "CLIPVisionModel"
}

// ordered lists the tensors as they are written, after comparing them with the
// config: a model that could not be loaded again is not saved.
func (m *Model) ordered() ([]safetensors.Tensor, error) {
	if m.Config == nil {
		return slices.Concat(m.Tensors, m.Extra), nil
	}
	if err := m.Config.Check(); err != nil {
		return nil, fmt.Errorf("hf: %w", err)
	}
	if n := m.Classes(); n != len(m.Config.Labels) {
		return nil, fmt.Errorf("hf: a classifier of %d classes with %d labels", n, len(m.Config.Labels))
	}
	var out []safetensors.Tensor
	specs := m.Config.Layout(m.Classes())
	for _, s := range specs {
		t, ok := m.Tensor(s.Name)
		if !ok {
			return nil, fmt.Errorf("hf: no tensor %s", s.Name)
		}
		if !slices.Equal(t.Shape, s.Shape) {
			return nil, fmt.Errorf("hf: tensor %s has shape %v, its config asks for %v", s.Name, t.Shape, s.Shape)
		}
		out = append(out, t)
	}
	if len(m.Tensors) != len(specs) {
		return nil, fmt.Errorf("hf: %d tensors, the config asks for %d", len(m.Tensors), len(specs))
	}
	return append(m.Config.Spelled(out), m.Extra...), nil
}

// Spelled are tensors of the network as the files of the folder have them.
func (c *Config) Spelled(tensors []safetensors.Tensor) []safetensors.Tensor {
	out := c.kind().names.joined(c.shrunk(tensors))
	for i := range out {
		out[i].Name = c.stripped(out[i].Name)
	}
	return out
}

// stripped is a name without the network's prefix, where that came without it and
// has no classifier.
func (c *Config) stripped(name string) string {
	if c.bare && len(c.Labels) == 0 {
		return strings.TrimPrefix(name, c.kind().prefix)
	}
	return name
}

// Written is the name that a tensor of a file is known under, whichever version of
// its library wrote it.
func (c *Config) Written(name string) string { return c.kind().names.written(name) }

// stillKept are the tensors that go out as they came: all, unless the network has got
// a classifier whose class has no place for some.
func (m *Model) stillKept() []safetensors.Kept {
	if m.Config == nil {
		return m.Kept
	}
	before := m.Config.kind().before
	if m.Config.class == m.class() {
		before = nil
	}
	var out []safetensors.Kept
	for _, k := range m.Kept {
		if before == nil || !before.MatchString(k.Name) {
			k.Name = m.Config.stripped(k.Name)
			out = append(out, k)
		}
	}
	return out
}
