package hf

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// The files of an adapter's folder in PEFT's layout, and how it names tensors: those of
// the model's modules after peftPrefix.
const (
	adapterConfig  = "adapter_config.json"
	adapterWeights = "adapter_model.safetensors"
	peftPrefix     = "base_model.model."
	peftA, peftB   = ".lora_A.weight", ".lora_B.weight"
	peftLabels     = "labels" // metadata of the weights: names of the classes, a JSON list
)

// Adapter is a LoRA adapter (Hu and others, ICLR 2022, arXiv 2106.09685) of a model, as
// Python's PEFT keeps it in a folder.
type Adapter struct {
	Dir     string // where it was read
	Rank    int
	Scale   float64 // by which B·A counts
	Base    string  // of the model that it was made for, a folder or a name
	Factors []Factor
	Whole   []safetensors.Tensor // that stand in the place of the model's, such as a classifier
	Labels  []string             // of such a classifier; nil: the file does not say
}

// Factor is the adapter of one weight: A is Rank×in, B out×Rank.
type Factor struct {
	Weight string // as the model's file names it
	A, B   []float32
	In     int
}

// peftConfig are the keys of adapter_config.json that say something of the tensors.
type peftConfig struct {
	Type       string          `json:"peft_type"`
	Base       string          `json:"base_model_name_or_path"`
	Rank       int             `json:"r"`
	Alpha      float64         `json:"lora_alpha"`
	Root       bool            `json:"use_rslora"`
	DoRA       bool            `json:"use_dora"`
	Transposed bool            `json:"fan_in_fan_out"`
	BiasToo    bool            `json:"lora_bias"`
	Ranks      map[string]int  `json:"rank_pattern"`
	Alphas     map[string]any  `json:"alpha_pattern"`
	Init       json.RawMessage `json:"init_lora_weights"`
	Parameters []string        `json:"target_parameters"`
	Repeated   [][]int         `json:"layer_replication"`
}

// IsAdapter says whether a folder holds an adapter and no model of its own.
func IsAdapter(dir string) bool {
	return fsys.Exists(filepath.Join(dir, adapterConfig)) && !fsys.Exists(filepath.Join(dir, ConfigName))
}

// ReadAdapter reads a folder of PEFT's. What it cannot mean to a linear map of ours is
// refused by name.
func ReadAdapter(dir string) (*Adapter, error) {
	raw, err := os.ReadFile(filepath.Join(dir, adapterConfig))
	if err != nil {
		return nil, fsys.ReadError(err, filepath.Join(dir, adapterConfig))
	}
	var c peftConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, damaged(filepath.Join(dir, adapterConfig), "%v", err)
	}
	if err := c.check(dir); err != nil {
		return nil, err
	}
	a := &Adapter{Dir: dir, Rank: c.Rank, Base: c.Base, Scale: c.Alpha / float64(c.Rank)}
	if c.Root {
		a.Scale = c.Alpha / math.Sqrt(float64(c.Rank))
	}
	path := filepath.Join(dir, adapterWeights)
	if !fsys.Exists(path) {
		return nil, uierr.New(path+": no such file",
			"save the adapter again with safe_serialization=True: a pickle can run any code when it is read")
	}
	tensors, meta, err := safetensors.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if text := meta[peftLabels]; text != "" {
		if err := json.Unmarshal([]byte(text), &a.Labels); err != nil {
			return nil, damaged(path, "metadata %s: %v", peftLabels, err)
		}
	}
	return a, a.sort(path, tensors)
}

// check refuses what is another method than W + scale·B·A.
func (c *peftConfig) check(dir string) error {
	no := func(what string) error {
		return uierr.New(fmt.Sprintf("%s: %s is not read", filepath.Join(dir, adapterConfig), what),
			"merge the adapter in Python: PeftModel.from_pretrained(model, '"+dir+"').merge_and_unload().save_pretrained(OUT)")
	}
	start := strings.Trim(string(c.Init), `"`)
	switch {
	case c.Type != "LORA":
		return no("peft_type " + c.Type)
	case c.Rank < 1 || c.Rank > 1<<16:
		return no(fmt.Sprintf("r of %d", c.Rank))
	case !(math.Abs(c.Alpha) <= 1e6):
		return no(fmt.Sprintf("lora_alpha of %v", c.Alpha))
	case c.DoRA:
		return no("use_dora")
	case c.Transposed:
		return no("fan_in_fan_out")
	case c.BiasToo:
		return no("lora_bias")
	case len(c.Ranks) > 0:
		return no("rank_pattern")
	case len(c.Alphas) > 0:
		return no("alpha_pattern")
	case len(c.Parameters) > 0:
		return no("target_parameters")
	case len(c.Repeated) > 0:
		return no("layer_replication")
	case !slices.Contains([]string{"", "null", "true", "false", "gaussian"}, start):
		return no("init_lora_weights " + start + ", which changes the model's own weights,")
	}
	return nil
}

// sort finds which tensors are pairs, and which stand for themselves.
func (a *Adapter) sort(path string, tensors []safetensors.Tensor) error {
	pairs, at := map[string]*Factor{}, []string{}
	for _, t := range tensors {
		name, ok := strings.CutPrefix(t.Name, peftPrefix)
		if !ok {
			return damaged(path, "tensor %s is none of a LoRA adapter", t.Name)
		}
		if err := finite(a.Dir, t.Name, t.Data); err != nil {
			return err
		}
		module, isA := strings.CutSuffix(name, peftA)
		module, isB := strings.CutSuffix(module, peftB)
		if !isA && !isB {
			if strings.Contains(name, "lora_") {
				return damaged(path, "tensor %s is none that is read", t.Name)
			}
			t.Name = name
			a.Whole = append(a.Whole, t)
			continue
		}
		f := pairs[module]
		if f == nil {
			f = &Factor{Weight: module + ".weight"}
			pairs[module], at = f, append(at, module)
		}
		switch {
		case isA && len(t.Shape) == 2 && t.Shape[0] == a.Rank:
			f.A, f.In = t.Data, t.Shape[1]
		case isB && len(t.Shape) == 2 && t.Shape[1] == a.Rank:
			f.B = t.Data
		default:
			return damaged(path, "tensor %s has shape %v, which one of rank %d has not", t.Name, t.Shape, a.Rank)
		}
	}
	for _, module := range at {
		f := pairs[module]
		if f.A == nil || f.B == nil {
			return damaged(path, "%s has one factor of two", module)
		}
		a.Factors = append(a.Factors, *f)
	}
	return nil
}

// damaged refuses a file that PEFT would not have written.
func damaged(path, what string, args ...any) error {
	return uierr.New(path+": "+fmt.Sprintf(what, args...),
		"give the folder of a LoRA adapter that PEFT's save_pretrained wrote")
}

// base is the folder of the model that an adapter was made for.
func (a *Adapter) base() (string, error) {
	for _, dir := range []string{a.Base, filepath.Join(a.Dir, a.Base)} {
		if a.Base != "" && fsys.Exists(filepath.Join(dir, ConfigName)) && !IsAdapter(dir) {
			return dir, nil
		}
	}
	return "", uierr.New(fmt.Sprintf("%s: the adapter's model %q is no folder here", a.Dir, a.Base),
		"write its folder as base_model_name_or_path into "+filepath.Join(a.Dir, adapterConfig)+
			", or name both: model.path and model.adapter")
}

// Merge adds the adapter to the weights of a model: W + Scale·B·A.
func (a *Adapter) Merge(m *Model) error {
	seen := map[string]bool{}
	for _, f := range a.Factors {
		t, err := a.of(m, f)
		if err != nil {
			return err
		}
		if seen[t.Name] {
			return damaged(a.Dir, "two adapters of %s", t.Name)
		}
		seen[t.Name] = true
		out := len(t.Data) / f.In
		for o := range out {
			row := t.Data[o*f.In : (o+1)*f.In]
			sums := make([]float64, f.In)
			for k := range a.Rank {
				b := float64(f.B[o*a.Rank+k])
				for i, v := range f.A[k*f.In : (k+1)*f.In] {
					sums[i] += b * float64(v)
				}
			}
			for i, s := range sums {
				row[i] += float32(a.Scale * s)
			}
		}
	}
	return a.Replace(m)
}

// of is the weight that a factor is of.
func (a *Adapter) of(m *Model, f Factor) (safetensors.Tensor, error) {
	name := m.Config.Written(f.Weight)
	for _, t := range m.Tensors {
		if p := m.Config.kind().names.place(t.Name); p.file != name || p.of > 1 || p.transposed {
			continue
		}
		if len(t.Data) != f.In*(len(f.B)/a.Rank) || t.Shape[0] != len(f.B)/a.Rank {
			return t, uierr.New(fmt.Sprintf("%s: the adapter of %s is %d by %d, the model's weight %v", a.Dir, f.Weight,
				len(f.B)/a.Rank, f.In, t.Shape), "give the model that the adapter was made for")
		}
		return t, nil
	}
	return safetensors.Tensor{}, uierr.New(fmt.Sprintf("%s: the model has no weight %s that the adapter is of", a.Dir,
		f.Weight), "give the model that the adapter was made for")
}

// Apart leaves the weights of a model as they are, and gives the factors by the names of
// their weights in Model.Tensors.
func (a *Adapter) Apart(m *Model) (map[string]Factor, error) {
	out := map[string]Factor{}
	for _, f := range a.Factors {
		t, err := a.of(m, f)
		if err != nil {
			return nil, err
		}
		out[t.Name] = f
	}
	return out, a.Replace(m)
}

// Replace puts what the adapter has whole in the place of the model's tensors.
func (a *Adapter) Replace(m *Model) error {
	other := func(t safetensors.Tensor, want []int) error {
		return uierr.New(fmt.Sprintf("%s: tensor %s is %v, the model's %v", a.Dir, t.Name, t.Shape, want),
			"give the model that the adapter was made for")
	}
	heads, headed, classes := m.Config.Heads(), false, 0
	for _, t := range a.Whole {
		t.Name = m.Config.Written(t.Name)
		i := slices.IndexFunc(m.Tensors, func(x safetensors.Tensor) bool { return x.Name == t.Name })
		head := slices.Contains(heads, t.Name)
		headed = headed || head
		switch {
		case i < 0 && !head:
			return uierr.New(fmt.Sprintf("%s: the model has no tensor %s", a.Dir, t.Name),
				"give the model that the adapter was made for")
		case !head && !slices.Equal(m.Tensors[i].Shape, t.Shape):
			return other(t, m.Tensors[i].Shape)
		case i < 0:
			m.Tensors = append(m.Tensors, t)
		default:
			m.Tensors[i] = t
		}
		if head && len(t.Shape) > 0 && (classes == 0 || t.Name == heads[0]) {
			classes = t.Shape[0]
		}
	}
	if !headed {
		return nil
	}
	for _, s := range m.Config.Layout(max(1, classes)) { // a classifier is of as many classes in all its tensors
		if t, ok := m.Tensor(s.Name); ok && slices.Contains(heads, s.Name) && !slices.Equal(t.Shape, s.Shape) {
			return other(t, s.Shape)
		}
	}
	switch {
	case len(a.Labels) == classes:
		m.Config.Labels = a.Labels
	case len(m.Config.Labels) != classes:
		m.Config.Labels = NumberedLabels(classes)
	}
	return nil
}
