package network

import (
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// Local is a network of our own with what its folder says besides the weights.
type Local struct {
	Weights *vit.Weights
	Config  *hf.Config
	Pre     *hf.Preprocessor
	// NewHead says that the classifier is fresh because the data has other
	// classes than the model; Head says why, or what else there is to know of it.
	NewHead bool
	// Bare says that there is no classifier and the outputs are the family's own:
	// a projection, or the rows that one would be made of.
	Bare bool
	Head string

	kept  []safetensors.Kept   // tensors that came and are not read
	extra []safetensors.Tensor // tensors that came and are no part of the network

	// Words is a context that was learned before the names of classes, as the folder
	// has it; empty where there is none. Metadata is the folder's.
	Words    []safetensors.Tensor
	Metadata map[string]string

	LogScale []float32 // learned temperature of a contrastive run, as the folder has it; else empty
}

// LoadLocal reads a model folder. Its classes get the order of labels (nil: keep
// it); where they are others, the classifier is drawn anew, from N(0, 0.02²).
func LoadLocal(dir string, labels []string, prompts Tokens, seed uint64) (*Local, error) {
	m, err := whole(dir)
	if err != nil {
		return nil, err
	}
	return fromModel(m, labels, prompts, seed)
}

// whole reads a model folder with what is not read of it, which goes out with a
// checkpoint as it came.
func whole(dir string) (*hf.Model, error) {
	dir, err := checkpoint.Pointed(dir)
	if err != nil {
		return nil, err
	}
	return hf.LoadWhole(dir)
}

// LoadLayer reads a model folder as a network whose outputs are one of its layers
// (vit.Encoder.View).
func LoadLayer(dir, layer string) (*Local, error) {
	dir, err := checkpoint.Pointed(dir)
	if err != nil {
		return nil, err
	}
	m, err := hf.LoadLayer(dir, layer)
	if err != nil {
		return nil, err
	}
	return viewed(m, layer)
}

// viewed is the network of a model whose outputs are one of its layers.
func viewed(m *hf.Model, layer string) (*Local, error) {
	l := &Local{Config: m.Config, Pre: m.Preprocessor, Bare: true}
	e, err := m.Config.Architecture(len(m.Config.Labels), 0).View(layer)
	if err != nil {
		return nil, err
	}
	if l.Weights, err = vit.NewWeights(e); err != nil {
		return nil, err
	}
	for _, p := range l.Weights.Params() {
		t, ok := m.Tensor(p.Name)
		if !ok || len(t.Data) != len(p.Data) {
			return nil, fmt.Errorf("train: the model has no tensor %s of %d values", p.Name, len(p.Data))
		}
		copy(p.Data, t.Data)
	}
	return l, nil
}

// FromModel is the network of a model that was read. One without a classifier has for
// its outputs the row that a classifier would read, or its own.
func FromModel(m *hf.Model) (*Local, error) {
	if m.Classes() > 0 || m.Config.Headless() {
		return fromModel(m, nil, Tokens{}, 0)
	}
	return viewed(m, vit.LayerPooled)
}

// Tokens are learned prompt tokens: so many after those of the network before the
// patches, Deep in every block.
type Tokens struct {
	Count int
	Deep  bool
}

// String is how many there are, in words.
func (t Tokens) String() string {
	switch {
	case t.Count == 0:
		return "no learned tokens"
	case t.Deep:
		return fmt.Sprintf("%d learned tokens in every block", t.Count)
	}
	return fmt.Sprintf("%d learned tokens", t.Count)
}

// tokensOf are those that a model has.
func tokensOf(m *hf.Model) Tokens {
	t, ok := m.Tensor("prompt.tokens")
	if !ok || len(t.Shape) != 3 {
		return Tokens{}
	}
	_, deep := m.Tensor("prompt.tokens.1")
	return Tokens{t.Shape[1], deep}
}

func fromModel(m *hf.Model, labels []string, prompts Tokens, seed uint64) (*Local, error) {
	has := tokensOf(m)
	switch {
	case labels == nil && prompts.Count == 0:
		prompts = has
	case has.Count > 0 && has != prompts:
		return nil, uierr.New(fmt.Sprintf("the model has %s, and prompt.kind and prompt.count ask for %s", has, prompts),
			"set prompt.kind: tokens with what the model has, or begin with a model without them")
	}
	l := &Local{Config: m.Config, Pre: m.Preprocessor, kept: m.Kept, extra: m.Extra, Words: wordsOf(m),
		Metadata: m.Metadata}
	if t, ok := m.Tensor(objective.LogScale); ok {
		l.LogScale = t.Data
	}
	if labels == nil {
		labels = m.Config.Labels
	} else { // what is trained on them chooses one
		l.Config.ProblemType = ""
	}
	l.Bare = len(labels) == 0 && m.Classes() == 0 && m.Config.Headless()
	if len(labels) == 0 && !l.Bare {
		labels = hf.NumberedLabels(max(1, m.Classes()))
	}
	var rows []int32
	if !l.Bare {
		rows, l.Head = headFor(m, labels)
		l.NewHead = rows == nil
	}
	l.Config.Labels = labels
	e := m.Config.Architecture(len(labels), prompts.Count)
	e.Deep = prompts.Deep
	w, err := vit.NewWeights(e)
	if err != nil {
		return nil, err
	}
	l.Weights = w
	heads := m.Config.Heads()
	for _, p := range w.Params() {
		t, ok := m.Tensor(p.Name)
		head := slices.Contains(heads, p.Name)
		switch {
		case head && l.NewHead, p.Role == "prompt" && !ok:
			w.Init(draw(seed), p.Name)
		case !ok:
			return nil, fmt.Errorf("network: the model has no tensor %s", p.Name)
		case len(t.Data) != len(p.Data):
			return nil, fmt.Errorf("network: tensor %s has %d values, the network %d", p.Name, len(t.Data), len(p.Data))
		case head:
			reorder(p.Data, t.Data, rows)
		default:
			copy(p.Data, t.Data)
		}
	}
	return l, nil
}

// NewLocal draws a new network of the config's sizes.
func NewLocal(a config.Arch, labels []string, prompts Tokens, seed uint64) (*Local, error) {
	c := hf.DefaultConfig()
	c.HiddenSize, c.NumLayers, c.NumHeads, c.IntermediateSize = a.Hidden, a.Layers, a.Heads, a.MLP
	c.ImageSize, c.PatchSize, c.NumChannels, c.Labels = a.Image, a.Patch, a.Chans, labels
	e := c.Architecture(len(labels), prompts.Count)
	e.Deep = prompts.Deep
	w, err := vit.NewWeights(e)
	if err != nil {
		return nil, err
	}
	w.Init(draw(seed))
	return &Local{Weights: w, Config: c, Pre: hf.DefaultPreprocessor(a.Image, a.Chans), NewHead: true}, nil
}

// Transform makes images the network's input, as its preprocessor says and the
// config overrides.
func (l *Local) Transform(c config.Data) (*data.Transform, error) {
	factor, mean, std := l.Pre.Levels()
	if len(c.Mean) > 0 {
		mean = c.Mean
	}
	if len(c.Std) > 0 {
		std = c.Std
	}
	t, err := data.NewTransform(l.Config.ImageSize, l.Config.NumChannels, mean, std, c.Augment)
	if err != nil {
		return nil, err
	}
	t.CutEven, t.Wide = l.Pre.CropEven, l.Config.ImageWidth
	t.Cut, t.Rescale, t.Scale = l.Pre.Crop, factor, data.Scale{Filter: data.Filter(l.Pre.Resample)}
	if l.Pre.Resize {
		t.Scale.Width, t.Scale.Height, t.Scale.Shortest, t.Scale.Longest = l.Pre.Width, l.Pre.Height, l.Pre.Shortest, l.Pre.Longest
		t.Scale.Cover, t.Scale.Contain = l.Pre.Cover, l.Pre.Contain
		if l.Pre.Contain {
			for i := range t.Around {
				t.Around[i] = uint8(math.RoundToEven(float64(255 * l.Pre.Mean[i%len(l.Pre.Mean)])))
			}
		}
	}
	return t, t.Prepare()
}

// NormalizedAs makes the preprocessor that is saved with the network normalise as
// a transform does.
func (l *Local) NormalizedAs(t *data.Transform) {
	n := l.Config.NumChannels
	each := func(v []float32) []float32 {
		if len(v) == 1 {
			return slices.Repeat(v, n)
		}
		return v
	}
	l.Pre.Normalize, l.Pre.Mean, l.Pre.Std = true, each(t.Mean), each(t.Std)
}

func draw(seed uint64) vit.Normal {
	return func(dst []float32, tensor int) {
		g := noise.Rand(seed, noise.Init, uint32(tensor))
		for i := range dst {
			dst[i] = float32(g.Normal())
		}
	}
}

// Model is the network as a checkpoint holds it; the tensors share the
// network's memory.
func (l *Local) Model() *hf.Model {
	m := &hf.Model{Config: l.Config, Preprocessor: l.Pre, Metadata: map[string]string{"format": "pt"}, Kept: l.kept}
	own := map[string]bool{}
	for _, p := range l.Weights.Params() {
		own[p.Name] = true
		t := safetensors.Tensor{Name: p.Name, Shape: p.Shape, Data: p.Data}
		if p.Role == "prompt" || p.Role == "temperature" {
			m.Extra = append(m.Extra, t)
		} else {
			m.Tensors = append(m.Tensors, t)
		}
	}
	for _, t := range l.extra {
		if !own[t.Name] {
			m.Extra = append(m.Extra, t)
		}
	}
	return m
}
