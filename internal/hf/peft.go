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
