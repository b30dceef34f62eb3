package hf

import (
	"cmp"
	_ "embed" // of timm_archs.json
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/vit"
)

func init() {
	register(&family{
		name: "a ViT of timm", is: isTimm, read: (*Config).readTimm, see: (*Config).seeTimm, names: naming{closed: true,
			spelled: []spelling{
				{from: regexp.MustCompile(`^(blocks\.\d+\.attn\.)(?P<part>query|key|value)\.(weight|bias)$`), to: "${1}qkv.$3",
					parts: []string{"query", "key", "value"}},
				{from: regexp.MustCompile(`^(blocks\.\d+\.mlp\.)(?P<part>gate|up)\.(weight|bias)$`), to: "${1}fc1.$3",
					parts: []string{"gate", "up"}},
				{from: regexp.MustCompile(`^(attn_pool\.)(?P<part>key|value)\.(weight|bias)$`), to: "${1}kv.$3",
					parts: []string{"key", "value"}},
			}},
		marshal: marshalTimm,
		ignored: regexp.MustCompile(`^$`),
		own:     regexp.MustCompile(`.`), antialias: true,
	})
}

// isTimm says whether a config.json is that of timm's folders on the hub.
func isTimm(m map[string]json.RawMessage) bool {
	return m["architecture"] != nil && m["model_type"] == nil
}

// timmArch is what the name of an architecture says that stands nowhere else in a
// folder.
type timmArch struct {
	Heads int     `json:"heads"`
	Act   string  `json:"act"`
	Eps   float64 `json:"eps"`
	Image int     `json:"image"`
	Pool  string  `json:"pool"`
	Lead  bool    `json:"lead"` // pooling reads the tokens before the patches too
}

//go:embed timm_archs.json
var timmArchsFile []byte

// timmArchs are the architectures of timm's VisionTransformer by their names, as
// scripts/make-timm-archs.py found them.
var timmArchs = sync.OnceValue(func() map[string]timmArch {
	m := map[string]timmArch{}
	if err := json.Unmarshal(timmArchsFile, &m); err != nil {
		panic("hf: timm_archs.json: " + err.Error())
	}
	return m
})

// timmActs are activation functions that timm has a name of its own for.
var timmActs = map[string]string{"gelu_tanh": "gelu_pytorch_tanh"}

// timmFree are arguments of a model that a forward does not depend on, or that
// its tensors say as well; the others are known in plain values alone.
var (
	timmFree = regexp.MustCompile(`^(num_classes|.*drop.*|weight_init|pretrained.*|embed_dim|depth|mlp_ratio|in_chans|` +
		`patch_size|qkv_bias|qk_norm|proj_bias|init_values|class_token|reg_tokens|no_embed_class|pre_norm|final_norm|fc_norm|` +
		`global_pool|dynamic_img_size|dynamic_img_pad|fix_init)$`)
	timmPlain = map[string][]string{"pos_embed": {`"learn"`, `"none"`, `""`}, "norm_layer": {"null"},
		"act_layer": {"null"}, "mlp_layer": {"null"}, "block_fn": {"null"}, "embed_layer": {"null"},
		"scale_attn_norm": {"false"}, "scale_mlp_norm": {"false"}}
)

// readTimm reads the keys of timm. Which heads, which activation function and
// which epsilon a network has stands in the name of its architecture alone; the
// rest is seen in its tensors.
func (c *Config) readTimm(m map[string]json.RawMessage) error {
	var name string
	if err := take(m, "architecture", &name); err != nil {
		return err
	}
	arch, ok := timmArchs()[name]
	if !ok {
		return fmt.Errorf("a timm folder of architecture %q, which is none of timm's %d plain vision transformers",
			jsonobj.Clip(name), len(timmArchs()))
	}
	act, ok := vit.ActNamed(arch.Act)
	if !ok {
		return fmt.Errorf("a timm folder of architecture %q, whose activation function %s is not known", name, arch.Act)
	}
	c.NumHeads, c.Act, c.LayerNormEps, c.ImageSize = arch.Heads, act, arch.Eps, arch.Image
	c.pool, c.poolLead = arch.Pool, arch.Lead
	cfg, err := takeObject(m, "pretrained_cfg")
	if err != nil {
		return err
	}
	args, err := takeObject(m, "model_args")
	if err != nil {
		return err
	}
	for _, from := range []map[string]json.RawMessage{m, args} { // what the network was made with counts
		if err := take(from, "global_pool", &c.pool); err != nil {
			return err
		}
	}
	if err := c.timmInput(cfg); err != nil {
		return err
	}
	if err := c.timmArgs(args); err != nil {
		return err
	}
	for _, from := range []map[string]json.RawMessage{cfg, m} {
		if err := take(from, "label_names", &c.Labels); err != nil {
			return err
		}
	}
	c.input, err = c.timmPreprocessor(cfg)
	return err
}

// timmArgs are what the folder's network has otherwise than its name says.
func (c *Config) timmArgs(args map[string]json.RawMessage) error {
	act := ""
	if raw := string(args["act_layer"]); raw != "null" {
		if err := take(args, "act_layer", &act); err != nil {
			return err
		}
	}
	if act != "" {
		var ok bool
		if c.Act, ok = vit.ActNamed(cmp.Or(timmActs[act], act)); !ok {
			return fmt.Errorf("model_args: act_layer is %q", jsonobj.Clip(act))
		}
	}
	if err := take(args, "num_heads", &c.NumHeads); err != nil {
		return err
	}
	if err := take(args, "pool_include_prefix", &c.poolLead); err != nil {
		return err
	}
	if err := takePair(args, "img_size", &c.ImageSize, &c.ImageWidth); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(args)) {
		if !timmFree.MatchString(key) && !slices.Contains(timmPlain[key], string(args[key])) {
			return fmt.Errorf("model_args: %s is %s, which is no plain ViT", jsonobj.Clip(key), jsonobj.Clip(string(args[key])))
		}
	}
	return nil
}

// seeTimm finds the network in its tensors.
func (c *Config) seeTimm(info func(string) (safetensors.Info, bool)) error {
	shape := func(name string, rank int) []int {
		if i, ok := info(name); ok && len(i.Shape) == rank {
			return i.Shape
		}
		return make([]int, rank)
	}
	has := func(name string) bool { _, ok := info(name); return ok }
	patch := shape("patch_embed.proj.weight", 4)
	c.HiddenSize, c.NumChannels, c.PatchSize = patch[0], patch[1], patch[2]
	for c.NumLayers = 0; has(fmt.Sprintf("blocks.%d.norm1.weight", c.NumLayers)); {
		c.NumLayers++
	}
	fc1, fc2 := shape("blocks.0.mlp.fc1.weight", 2), shape("blocks.0.mlp.fc2.weight", 2)
	c.IntermediateSize = fc2[1]
	gated := fc1[0] == 2*fc2[1] && fc1[0] > 0
	n := vit.Timm(vit.Arch{}, gated)
	n.PoolLead = c.poolLead
	if gated { // as attention pooling is not
		n.PoolMLP = shape("attn_pool.mlp.fc1.weight", 2)[0]
	}
	n.NoCls, n.Dist, n.Registers = !has("cls_token"), has("dist_token"), shape("reg_token", 3)[1]
	n.PreNorm, n.FinalNorm, n.PooledNorm = has("norm_pre.weight"), has("norm.weight"), has("fc_norm.weight")
	n.NoPatchBias, n.QKNorm = !has("patch_embed.proj.bias"), has("blocks.0.attn.q_norm.weight")
	n.Scaled = has("blocks.0.ls1.gamma")
	n.NoOutBias, n.NoMLPBias = !has("blocks.0.attn.proj.bias"), !has("blocks.0.mlp.fc1.bias")
	c.QKVBias = has("blocks.0.attn.qkv.bias")
	switch pool := c.pool; {
	case n.Dist && (pool == "token" || pool == "avg"): // timm's distilled class pools neither otherwise
		n.Pool = vit.PoolHeads
	case pool == "token" && !n.NoCls:
	case pool == "avg":
		n.Pool = vit.PoolMean
	case pool == "map":
		n.Pool = vit.PoolAttention
	default:
		return fmt.Errorf("global_pool is %q; token, avg and map are known", jsonobj.Clip(pool))
	}
	c.net = n
	if err := c.Check(); err != nil {
		return err
	}
	lead, rows := c.Architecture(1, 0).Lead(), shape("pos_embed", 3)[1]
	switch rows - c.Patches() {
	case lead:
	case 0:
		c.net.Positions = vit.PositionsPatches
	default:
		if rows == 0 {
			c.net.Positions = vit.PositionsNone
		}
	}
	return nil
}

// marshalTimm is the config as it came, with the classes and the size of images
// that the network has now.
func marshalTimm(c *Config, classes int) (map[string]any, error) {
	m := map[string]any{}
	for k, v := range c.raw {
		m[k] = v
	}
	m["num_classes"] = classes
	for _, key := range []string{"pretrained_cfg", "model_args"} {
		if c.raw[key] == nil && key == "model_args" {
			continue
		}
		came, err := takeObject(maps.Clone(c.raw), key)
		if err != nil {
			return nil, err
		}
		part := map[string]any{"num_classes": classes}
		for k, v := range came {
			if k != "num_classes" {
				part[k] = v
			}
		}
		if key == "pretrained_cfg" {
			part["input_size"] = []int{c.NumChannels, c.ImageSize, c.Columns()}
		} else if came["img_size"] != nil {
			part["img_size"] = []int{c.ImageSize, c.Columns()}
		}
		delete(part, "label_names")
		m[key] = part
	}
	if rows, columns := c.came(); rows != c.ImageSize || columns != c.Columns() { // of a name that has another size
		args, _ := m["model_args"].(map[string]any)
		if args == nil {
			args = map[string]any{}
		}
		args["img_size"], m["model_args"] = []int{c.ImageSize, c.Columns()}, args
	}
	if delete(m, "label_names"); len(c.Labels) > 0 {
		m["label_names"] = c.Labels
	}
	return m, nil
}

// came is the size of images that an architecture's name means.
func (c *Config) came() (rows, columns int) {
	name := ""
	_ = json.Unmarshal(c.raw["architecture"], &name)
	n := timmArchs()[name].Image
	return n, n
}
