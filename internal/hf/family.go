package hf

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/vit"
)

// family is a kind of network as model folders describe it: which config.json is
// one of its, what the keys and the tensors mean, and which network of
// internal/vit that is. Each stands in a file of its own and registers itself.
type family struct {
	name  string // in messages
	is    func(keys map[string]json.RawMessage) bool
	read  func(c *Config) error // what c.extra says into c
	names naming                // of the tensors of a folder, turned into those of arch
	// arch is the network with a classifier of so many classes, 0 for none, and
	// learned prompts.
	arch func(c *Config, classes, prompts int) vit.Architecture
	// see looks at which tensors there are, where the config does not say all of
	// the network; nil: it does.
	see func(c *Config, has func(name string) bool)
	// write are the keys that say all this again, beside the sizes, which every
	// family has.
	write func(c *Config) map[string]any
	// classes are transformers' classes of the network with a classifier and
	// without.
	with, without func(c *Config) string

	positions string         // tensor of the position embeddings, the cls row first
	ignored   *regexp.Regexp // tensors that a forward does not read
	own       *regexp.Regexp // tensors that are the network's, known or not
	headless  bool           // without a classifier it has outputs of its own
}

// families are tried in the order of their names; plain ViTs take what is left.
var families = map[string]*family{}

func register(f *family) { families[f.name] = f }

// familyOf is the family that a config.json is of.
func familyOf(keys map[string]json.RawMessage) *family {
	var names []string
	for n := range families {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		if families[n].is(keys) {
			return families[n]
		}
	}
	return plainViT
}

// Architecture is the network that a config describes, with a classifier of so
// many classes, 0 for none, and learned prompts after the cls token. A ViT cannot
// be without: of it 0 means one output.
func (c *Config) Architecture(classes, prompts int) vit.Architecture {
	return c.kind().arch(c, classes, prompts)
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

// Layout lists the tensors of the config's network in the order of its forward,
// with a classifier of so many classes, 0 for none.
func (c *Config) Layout(classes int) []Spec {
	var l []Spec
	for _, p := range c.Architecture(classes, 0).Params() {
		if classes == 0 && (p.Name == classifierName || p.Name == classifierBias) {
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
