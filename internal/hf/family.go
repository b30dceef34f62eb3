package hf

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/vit"
)

// family is a kind of network as model folders describe it: which config is one
// of its, what the keys and the tensors mean, and which encoder of internal/vit
// that is. Each stands in a file of its own and registers itself.
type family struct {
	name  string                                              // in messages
	types []string                                            // of model_type
	is    func(keys map[string]json.RawMessage) bool          // where no model_type says it
	read  func(c *Config, m map[string]json.RawMessage) error // what the keys say into c
	// of the tensors of a folder, turned into those of the encoder
	names naming
	// see looks at which tensors there are, where the config does not say all of
	// the network; nil: it does.
	see func(c *Config, info func(name string) (safetensors.Info, bool)) error
	// adapt changes the encoder for a classifier of e.Classes classes, 0 for none;
	// nil: nothing but the classifier changes.
	adapt func(c *Config, e *vit.Encoder)
	// write are the keys that say all this again, beside the sizes.
	write func(c *Config) map[string]any
	// with and without are transformers' classes of the network with a classifier
	// and without; nil: it keeps the one it came with.
	with, without string

	prefix    string         // of the network's tensors in a file with a classifier
	ignored   *regexp.Regexp // tensors that a forward does not read
	before    *regexp.Regexp // tensors that a network without a classifier has and one with has not; nil: none
	own       *regexp.Regexp // tensors that are the network's, known or not
	headless  bool           // without a classifier it has outputs of its own
	resizes   bool           // takes images of another size than its positions are for, as they come
	antialias bool           // positions are interpolated with a widened kernel
	// marshal writes a config that is not transformers'; nil: it is.
	marshal func(c *Config, classes int) (map[string]any, error)
	config  string // name of the config's file; "": config.json
	weights string // name of the weights' file; "": model.safetensors
}

// families are tried in the order of their names; plain ViTs take what is left.
var families = map[string]*family{}

func register(f *family) { families[f.name] = f }

// familyOf is the family that a config is of, nil where it is none's.
func familyOf(keys map[string]json.RawMessage) *family {
	kind := ""
	_ = json.Unmarshal(keys["model_type"], &kind)
	for _, n := range slices.Sorted(maps.Keys(families)) {
		f := families[n]
		if kind != "" && slices.Contains(f.types, kind) || f.is != nil && f.is(keys) {
			return f
		}
	}
	if kind == "" || kind == "vit" {
		return plainViT
	}
	return nil
}

// Architecture is the network that a config describes, with a classifier of so
// many classes, 0 for none, and learned prompts before the patches. A network
// that has no outputs of its own (Headless) has one class at least.
func (c *Config) Architecture(classes, prompts int) vit.Encoder {
	e := c.net
	e.Arch = vit.Arch{Image: c.ImageSize, Across: c.ImageWidth, Patch: c.PatchSize, Chans: c.NumChannels,
		Hidden: c.HiddenSize,
		Layers: c.NumLayers, Heads: c.NumHeads, MLP: c.IntermediateSize, Classes: classes, Prompts: prompts,
		Eps: c.LayerNormEps, Act: c.Act, NoQKVBias: !c.QKVBias}
	e.Projected = c.Projected
	if adapt := c.kind().adapt; adapt != nil {
		adapt(c, &e)
	}
	if !e.Bare {
		e.Classes = max(1, classes)
	}
	return e
}

// Headless says whether a network without a classifier has outputs of its own,
// such as a projection.
func (c *Config) Headless() bool { return c.kind().headless }

// Family is the name of the config's family.
func (c *Config) Family() string { return c.kind().name }

func (c *Config) kind() *family {
	if c.family == nil {
		return plainViT
	}
	return c.family
}

// Layers are those of vit.Encoder.View that the network has.
func (c *Config) Layers() []string {
	var out []string
	for _, layer := range []string{vit.LayerCls, vit.LayerMean, vit.LayerPooled, vit.LayerProjection, vit.LayerLast} {
		if _, err := c.Architecture(1, 0).View(layer); err == nil {
			out = append(out, layer)
		}
	}
	return out
}

// Heads are the tensors of a classifier: weight and bias of each.
func (c *Config) Heads() []string {
	e := c.Architecture(1, 0)
	heads := []string{e.Names.Classifier + ".weight", e.Names.Classifier + ".bias"}
	if e.Pool == vit.PoolHeads {
		heads = append(heads, e.Names.Distilled+".weight", e.Names.Distilled+".bias")
	}
	return heads
}

// Layout lists the tensors of the config's network in the order of its forward,
// with a classifier of so many classes, 0 for none.
func (c *Config) Layout(classes int) []Spec {
	var l []Spec
	heads := c.Heads()
	for _, p := range c.Architecture(classes, 0).Params() {
		if classes == 0 && slices.Contains(heads, p.Name) {
			continue
		}
		l = append(l, Spec{p.Name, p.Shape})
	}
	return l
}

// familyNames lists the families for a message.
func familyNames() string {
	names := []string{plainViT.name}
	for n := range families {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// actWritten is the activation function as the file called it, or as transformers does.
func (c *Config) actWritten() string {
	if a, ok := vit.ActNamed(c.actName); ok && a == c.Act {
		return c.actName
	}
	if c.Act == vit.TanhGELU {
		return "gelu_new"
	}
	return string(c.Act)
}

// readAct reads the activation function.
func (c *Config) readAct(m map[string]json.RawMessage, fallback vit.Act) error {
	name := ""
	if err := take(m, "hidden_act", &name); err != nil {
		return err
	}
	c.Act, c.actName = fallback, name
	if name == "" {
		return nil
	}
	act, ok := vit.ActNamed(name)
	if !ok {
		return fmt.Errorf("hidden_act is %q; known are gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, silu and relu",
			jsonobj.Clip(name))
	}
	c.Act = act
	return nil
}

// all runs readers until one fails.
func all(readers ...func() error) error {
	for _, r := range readers {
		if err := r(); err != nil {
			return err
		}
	}
	return nil
}
