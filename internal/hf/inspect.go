package hf

import (
	"github.com/flops-vit/flops/internal/safetensors"
)

// Summary is what a model folder holds, known from its headers alone.
type Summary struct {
	Path       string             `json:"path"`
	Family     string             `json:"family"`
	Activation string             `json:"activation"`
	Projected  int                `json:"projection,omitempty"` // width of a projection after the pooled row
	Files      []string           `json:"files"`
	Bytes      int64              `json:"bytes"`      // of the weight files
	Parameters int64              `json:"parameters"` // of the network, without what is ignored
	DTypes     map[string]int64   `json:"dtypes"`     // values per format
	ImageSize  int                `json:"image_size"`
	PatchSize  int                `json:"patch_size"`
	Channels   int                `json:"channels"`
	Hidden     int                `json:"hidden_size"`
	Layers     int                `json:"layers"`
	Heads      int                `json:"heads"`
	MLP        int                `json:"mlp"`
	Tokens     int                `json:"tokens"` // cls and patches
	Classes    int                `json:"classes"`
	Labels     []string           `json:"labels,omitempty"`
	Problem    string             `json:"problem_type,omitempty"` // what the logits mean, where config.json says it
	Mean       []float32          `json:"mean"`
	Std        []float32          `json:"std"`
	Extra      []string           `json:"extra,omitempty"`   // tensors of no ViT
	Ignored    []string           `json:"ignored,omitempty"` // tensors that are not read
	Tensors    []safetensors.Info `json:"-"`
}

// Inspect reads and checks what Load would, except for the numbers
// themselves.
func Inspect(dir string) (*Summary, error) {
	f, err := openFolder(dir, "")
	if err != nil {
		return nil, err
	}
	defer f.w.Close()
	c, pre, p, w, infos := f.c, f.pre, f.p, f.w, f.w.Infos()
	size, err := w.Bytes()
	if err != nil {
		return nil, err
	}
	s := &Summary{Path: f.dir, Family: c.Family(), Activation: string(c.Act), Projected: c.Projected,
		Files: w.Names(), Bytes: size, DTypes: map[string]int64{}, ImageSize: c.ImageSize, PatchSize: c.PatchSize,
		Channels: c.NumChannels, Hidden: c.HiddenSize, Layers: c.NumLayers, Heads: c.NumHeads, MLP: c.IntermediateSize,
		Tokens: c.Architecture(p.classes, 0).Tokens(), Classes: p.classes, Mean: pre.Mean, Std: pre.Std, Extra: p.extra,
		Ignored: p.ignored,
		Problem: c.ProblemType, Tensors: infos}
	s.Labels = p.labels(c)
	for _, from := range p.source {
		s.Parameters += from.Count()
	}
	for _, i := range infos {
		s.DTypes[string(i.DType)] += i.Count()
	}
	return s, nil
}
