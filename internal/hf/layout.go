package hf

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// Spec is the name and shape that a tensor has in a network of its family.
type Spec struct {
	Name  string
	Shape []int
}

// plan says where each tensor of a model comes from.
type plan struct {
	classes int
	specs   []Spec
	source  map[string]source // by name in the encoder
	extra   []string          // tensors of no network, by name in the file
	// ignored are tensors that are not read: a forward does not need them, or their
	// format is none of a weight.
	ignored []string
}

// source is a tensor of the encoder, or the part of a file's that it is; it is
// turned around once it is read.
type source struct {
	safetensors.Info
	transposed bool
}

// match compares the tensors of a folder with its config, before any is read.
func match(dir string, c *Config, infos []safetensors.Info) (*plan, error) {
	p := &plan{source: map[string]source{}}
	f := c.kind()
	byName := map[string]safetensors.Info{}
	for _, i := range infos {
		name := f.names.written(i.Name)
		if other, twice := byName[name]; twice {
			return nil, uierr.New(fmt.Sprintf("%s: tensors %s and %s are the same one under two names", dir,
				jsonobj.Clip(other.Name), jsonobj.Clip(i.Name)),
				"the folder holds two models; keep one")
		}
		byName[name] = i
		c.bare = c.bare || f.prefix != "" && name == f.prefix+i.Name
	}
	if f.see != nil {
		if err := f.see(c, func(name string) (safetensors.Info, bool) { i, ok := byName[name]; return i, ok }); err != nil {
			return nil, uierr.New(fmt.Sprintf("%s: %v", dir, err), "config.json and weights belong to different models")
		}
	}
	_, c.hasPooler = byName[c.net.Names.Pooler+".weight"]
	if err := p.classify(dir, c, byName); err != nil {
		return nil, err
	}
	if err := p.view(dir, c); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	var lack []string
	for _, s := range p.specs {
		i, from, ok := f.find(byName, s.Name)
		known[from.file] = true
		switch {
		case !ok:
			lack = append(lack, s.Name)
		case !slices.Equal(i.Shape, s.Shape):
			return nil, shapeError(dir, c, s, i.Shape)
		default:
			p.source[s.Name] = source{i, from.transposed}
		}
	}
	if len(lack) > 0 {
		return nil, uierr.New(fmt.Sprintf("%s: %d tensors are missing, the first is %s of shape %v", dir, len(lack), lack[0],
			p.shape(lack[0])),
			"config.json and weights belong to different models, or the weights are no ViT's")
	}
	return p, p.sortOut(dir, c, byName, known)
}

// find is the tensor of the encoder in a file: under its own name, or as a part of
// the one that it is written in.
func (f *family) find(byName map[string]safetensors.Info, name string) (safetensors.Info, place, bool) {
	if i, ok := byName[name]; ok {
		return i, place{file: name, of: 1}, true
	}
	at := f.names.place(name)
	i, ok := byName[at.file]
	return at.piece(i), at, ok
}

// view lists the tensors of the network, or of what is shown of it.
func (p *plan) view(dir string, c *Config) error {
	p.specs = c.Layout(p.classes)
	if c.view == "" {
		return nil
	}
	e, err := c.Architecture(p.classes, 0).View(c.view)
	if err != nil {
		return uierr.New(fmt.Sprintf("%s: %v", dir, err), "use --layer "+strings.Join(c.Layers(), ", "))
	}
	p.specs = nil
	for _, s := range e.Params() {
		p.specs = append(p.specs, Spec{s.Name, s.Shape})
	}
	return nil
}

func (p *plan) shape(name string) []int {
	for _, s := range p.specs {
		if s.Name == name {
			return s.Shape
		}
	}
	return nil
}

// labels are the names of the classes there are; those without any get the
// usual ones.
func (p *plan) labels(c *Config) []string {
	switch {
	case p.classes == 0:
		return nil
	case len(c.Labels) == 0:
		return NumberedLabels(p.classes)
	}
	return c.Labels
}

// classify finds out whether there is a classifier, and of how many classes.
func (p *plan) classify(dir string, c *Config, byName map[string]safetensors.Info) error {
	name := c.Heads()[0]
	w, _, ok := c.kind().find(byName, name)
	if !ok {
		return nil
	}
	if len(w.Shape) != 2 || w.Shape[0] < 1 {
		return shapeError(dir, c, Spec{name, []int{max(1, len(c.Labels)), c.HiddenSize}}, w.Shape)
	}
	p.classes = w.Shape[0]
	if len(c.Labels) > 0 {
		p.classes = len(c.Labels)
	}
	return nil
}

func shapeError(dir string, c *Config, s Spec, found []int) error {
	hint := "config.json and weights belong to different models"
	switch s.Name {
	case c.net.Names.Positions:
		hint = "image_size and patch_size in config.json must be those that the weights were made with; " +
			"to use another image size, load the model as it is and resize it"
	case c.Heads()[0]:
		hint = "id2label in config.json must have one label for each row of the classifier"
	}
	return uierr.New(fmt.Sprintf("%s: tensor %s: config.json asks for shape %v, the file has %v", dir, s.Name, s.Shape,
		found), hint)
}

// sortOut shares the tensors that the layout does not name among ignored and
// extra, and refuses what looks like a part of the network that config.json
// does not have.
func (p *plan) sortOut(dir string, c *Config, byName map[string]safetensors.Info, known map[string]bool) error {
	for name, i := range byName {
		switch {
		case known[name]:
		case c.kind().ignored.MatchString(name), isQKVBias(name) && !c.QKVBias, !isWeight(i.DType),
			slices.Contains(i.Shape, 0),
			c.view != "" && c.kind().own.MatchString(name):
			p.ignored = append(p.ignored, i.Name)
		case learned.MatchString(name):
			p.extra = append(p.extra, i.Name)
		case c.kind().own.MatchString(name), c.kind().names.closed:
			return uierr.New(fmt.Sprintf("%s: tensor %s has no place in the network of %d layers that config.json "+
				"describes (%s)", dir, jsonobj.Clip(name), c.NumLayers, c.Family()),
				"config.json and weights belong to different models")
		default:
			p.extra = append(p.extra, i.Name)
		}
	}
	sort.Strings(p.ignored)
	sort.Strings(p.extra)
	return nil
}

// isQKVBias: the biases that a config without qkv_bias leaves out; transformers
// reads none of them then, and neither is one read here.
func isQKVBias(name string) bool {
	return strings.Contains(name, ".attention.attention.") && strings.HasSuffix(name, ".bias")
}
