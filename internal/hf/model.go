package hf

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/flops-vit/flops/internal/fsys"
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
// A folder of PEFT's (ReadAdapter) is the model that it names, merged with it.
func Load(dir string) (*Model, error) { return load(dir, false, "") }

// LoadWhole is Load with what a forward does not need, for a copy that
// leaves nothing out.
func LoadWhole(dir string) (*Model, error) { return load(dir, true, "") }

// LoadLayer is Load of a network whose outputs are one of its layers, by the name
// that vit.Encoder.View has for it.
func LoadLayer(dir, layer string) (*Model, error) { return load(dir, false, layer) }

// load reads a model, and the one that an adapter was made for, merged with it, in the
// place of an adapter.
func load(dir string, whole bool, layer string) (*Model, error) {
	if !IsAdapter(dir) {
		return loadModel(dir, whole, layer)
	}
	a, err := ReadAdapter(dir)
	if err != nil {
		return nil, err
	}
	base, err := a.base()
	if err != nil {
		return nil, err
	}
	m, err := loadModel(base, whole, layer)
	if err == nil {
		err = a.Merge(m)
	}
	return m, err
}

func loadModel(dir string, whole bool, layer string) (*Model, error) {
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
		return readAs(name, f.dir, w, from.Info, from.transposed)
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
	if f.w, err = openWeights(f.dir); err != nil {
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

func openWeights(dir string) (*safetensors.Folder, error) {
	w, err := safetensors.OpenFolder(dir, openCLIPWeights)
	if errors.Is(err, safetensors.ErrNone) {
		err = noWeights(dir)
	}
	return w, err
}

// readAs reads a tensor of a file under the name and in the layout that the network has;
// turned says that the file has it transposed.
func readAs(name, dir string, w *safetensors.Folder, from safetensors.Info, turned bool) (safetensors.Tensor, error) {
	if turned { // as the file has it
		from.Shape = []int{from.Shape[1], from.Shape[0]}
	}
	t, err := w.Holder(from.Name).ReadInfo(from)
	if err == nil {
		err = finite(dir, from.Name, t.Data)
	}
	if t.Name = name; err == nil && turned {
		t.Data, t.Shape = transposed(t.Data, t.Shape[0]), []int{t.Shape[1], t.Shape[0]}
	}
	return t, err
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
