package hf

import (
	"fmt"

	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
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
	ImageWidth int                `json:"image_width"`
	Stored     []int              `json:"positions_for,omitempty"` // rows and columns of pixels, where they are others
	PatchSize  int                `json:"patch_size"`
	Channels   int                `json:"channels"`
	Hidden     int                `json:"hidden_size"`
	Layers     int                `json:"layers"`
	Heads      int                `json:"heads"`
	MLP        int                `json:"mlp"`
	Tokens     int                `json:"tokens"`  // of the sequence
	Pooling    string             `json:"pooling"` // what the outputs are made of
	Shows      []string           `json:"shows"`   // layers, as embed --layer takes them
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
	if IsAdapter(dir) {
		a, err := ReadAdapter(dir)
		if err != nil {
			return nil, err
		}
		return nil, uierr.New(fmt.Sprintf("%s: an adapter of rank %d beside %d weights of %q, and no model of its own", dir,
			a.Rank, len(a.Factors), a.Base), "inspect that model; flops model export writes both merged")
	}
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
	from := c.Architecture(p.classes, 0)
	if rows := pre.Rows(); c.kind().resizes && rows > 0 { // the size that it takes, whatever the positions are for
		from.Image, from.Across = rows, pre.Side()
	}
	s := &Summary{Path: f.dir, Family: c.Family(), Activation: string(c.Act), Projected: c.Projected,
		Files: w.Names(), Bytes: size, DTypes: map[string]int64{}, ImageSize: from.Image, ImageWidth: from.Columns(),
		PatchSize: c.PatchSize,
		Channels:  c.NumChannels, Hidden: c.HiddenSize, Layers: c.NumLayers, Heads: c.NumHeads, MLP: c.IntermediateSize,
		Tokens: from.Tokens(), Classes: p.classes, Mean: pre.Mean, Std: pre.Std, Extra: p.extra,
		Ignored: p.ignored,
		Problem: c.ProblemType, Pooling: from.Pooling(), Shows: c.Layers(), Tensors: infos}
	s.Labels = p.labels(c)
	if from.Image != c.ImageSize || from.Columns() != c.Columns() {
		s.Stored = []int{c.ImageSize, c.Columns()}
	}
	for _, from := range p.source {
		s.Parameters += from.Count()
	}
	for _, i := range infos {
		s.DTypes[string(i.DType)] += i.Count()
	}
	return s, nil
}
