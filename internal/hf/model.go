package hf

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// Model is a folder in Hugging Face layout, read into memory.
type Model struct {
	Config       *Config       // nil in a checkpoint of a model that is only called
	Preprocessor *Preprocessor // nil where Config is
	// Tensors are those of the network under the names of
	// ViTForImageClassification, in the order of Config.Layout.
	Tensors []safetensors.Tensor
	// Extra are tensors of no ViT that the folder holds too, sorted by name:
	// learned prompts, a projection head.
	Extra []safetensors.Tensor
	// Ignored names the tensors that were left unread, such as the pooler; LoadWhole
	// reads them into Kept.
	Ignored []string
	Kept    []safetensors.Kept
	// Metadata is the free text of the safetensors header.
	Metadata map[string]string
}

// Tensor finds a tensor by name, among the extra ones too.
func (m *Model) Tensor(name string) (safetensors.Tensor, bool) {
	for _, l := range [][]safetensors.Tensor{m.Tensors, m.Extra} {
		for _, t := range l {
			if t.Name == name {
				return t, true
			}
		}
	}
	return safetensors.Tensor{}, false
}

// Classes is the number of rows of the classifier, 0 without one.
func (m *Model) Classes() int {
	if m.Config == nil {
		return 0
	}
	if t, ok := m.Tensor(m.Config.Heads()[0]); ok {
		return t.Shape[0]
	}
	return 0
}

// Load reads a model folder: config.json, preprocessor_config.json (which
// may be absent) and model.safetensors or its shards. Everything is compared
// before a tensor is read; what does not fit is an *uierr.Error that names the
// tensor and both shapes. Query, key and value have no biases where the config
// has no qkv_bias.
// A prompt (LoadPrompt) is refused with ErrPrompt.
func Load(dir string) (*Model, error) { return load(dir, false, "") }

// LoadWhole is Load with what a forward does not need, for a copy that
// leaves nothing out.
func LoadWhole(dir string) (*Model, error) { return load(dir, true, "") }

// LoadLayer is Load of a network whose outputs are one of its layers, by the name
// that vit.Encoder.View has for it.
func LoadLayer(dir, layer string) (*Model, error) { return load(dir, false, layer) }

func load(dir string, whole bool, layer string) (*Model, error) {
	f, err := openFolder(dir, layer)
	if err != nil {
		return nil, err
	}
	defer f.w.Close()
	c, p, w := f.c, f.p, f.w
	m := &Model{Config: c, Preprocessor: f.pre, Ignored: p.ignored, Metadata: w.Metadata()}
	names := make([]string, len(p.specs))
	for i, s := range p.specs {
		names[i] = s.Name
	}
	m.Tensors, err = safetensors.ReadMany(names, func(name string) (safetensors.Tensor, error) {
		from := p.source[name]
		if from.transposed { // as the file has it
			from.Shape = []int{from.Shape[1], from.Shape[0]}
		}
		t, err := w.Holder(from.Name).ReadInfo(from.Info)
		t.Name = name
		if err == nil && from.transposed {
			t.Data, t.Shape = transposed(t.Data, t.Shape[0]), []int{t.Shape[1], t.Shape[0]}
		}
		if err == nil {
			err = finite(f.dir, from.Name, t.Data)
		}
		return t, err
	})
	if err != nil {
		return nil, err
	}
	m.Extra, err = safetensors.ReadMany(p.extra,
		func(name string) (safetensors.Tensor, error) { return w.Holder(name).Read(name) })
	c.Labels = p.labels(c)
	if whole && err == nil {
		m.Kept, err = f.kept()
	}
	if err == nil {
		err = m.grow()
	}
	return m, err
}

// kept reads what is ignored. Those of wide formats come first, so that they
// stay aligned in a file.
func (f *folder) kept() ([]safetensors.Kept, error) {
	var out []safetensors.Kept
	for _, name := range f.p.ignored {
		file := f.w.Holder(name)
		i, _ := file.Info(name)
		k, err := file.Keep(i, f.c.Written(name))
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	slices.SortStableFunc(out, func(a, b safetensors.Kept) int { return cmp.Compare(b.DType.Bits(), a.DType.Bits()) })
	return out, nil
}

// folder is a model's folder that is open and compared, before a tensor is
// read. Who opens it closes w.
type folder struct {
	dir, layer string
	w          *safetensors.Folder
	c          *Config
	pre        *Preprocessor
	p          *plan
}

func openFolder(dir, layer string) (f *folder, err error) {
	f = &folder{dir: dir, layer: layer}
	f.w, err = safetensors.OpenFolder(f.dir, openCLIPWeights)
	if errors.Is(err, safetensors.ErrNone) {
		err = noWeights(f.dir)
	}
	if err != nil {
		return nil, err
	}
	if err = f.compare(); err != nil {
		f.w.Close()
		return nil, err
	}
	return f, nil
}

// compare reads what stands beside the weights and holds them against it.
func (f *folder) compare() (err error) {
	if err = notPrompt(f.dir, f.w); err != nil {
		return err
	}
	if f.c, err = ReadConfig(configPath(f.dir)); err != nil {
		return err
	}
	f.c.view = f.layer
	if f.pre, err = ReadPreprocessor(filepath.Join(f.dir, PreprocessorName), f.c); err != nil {
		return err
	}
	f.p, err = match(f.dir, f.c, f.w.Infos())
	return err
}

// finite refuses weights that no network can compute with.
func finite(dir, name string, data []float32) error {
	bad := 0
	for _, v := range data {
		if v-v != 0 { // NaN for both
			bad++
		}
	}
	if bad == 0 {
		return nil
	}
	return uierr.New(fmt.Sprintf("%s: tensor %s: %d of %d values are NaN or infinite", dir, name, bad, len(data)),
		"the file was saved by a training that diverged, or is damaged; take an earlier one")
}

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

// noWeights says what the folder has instead of safetensors.
func noWeights(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return fsys.ReadError(err, dir)
	}
	for _, name := range []string{"pytorch_model.bin", "pytorch_model.bin.index.json", "open_clip_pytorch_model.bin"} {
		path := filepath.Join(dir, name)
		if !fsys.Exists(path) {
			continue
		}
		class := "ViTForImageClassification"
		if c, err := ReadConfig(configPath(dir)); err == nil && className.MatchString(c.class) {
			class = c.class
		}
		return uierr.New(path+": a Python pickle, which can run any code when it is read, is refused",
			fmt.Sprintf(`convert it: python -c "from transformers import %s as M; M.from_pretrained('%s').save_pretrained('%s', `+
				`safe_serialization=True)"`, class, dir, dir))
	}
	return uierr.New(fmt.Sprintf("%s: no %s and no %s", dir, safetensors.ModelName, safetensors.IndexName),
		"give a folder in Hugging Face layout, with config.json and model.safetensors")
}

// className is what a class of Python's may be called.
var className = regexp.MustCompile(`^\w+$`)
