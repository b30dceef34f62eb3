package hf

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/flops-vit/flops/internal/jsonobj"
)

func init() {
	f := *plainViT
	f.name, f.is, f.read, f.names = "a plain ViT of timm", isTimm, (*Config).readTimm, timmNames
	register(&f)
}

// isTimm says whether a config.json is that of timm's folders on the hub.
func isTimm(m map[string]json.RawMessage) bool {
	return m["architecture"] != nil && m["model_type"] == nil
}

// timmName is the name of a plain ViT in timm: class token, learned positions,
// one classifier on the class token, GELU.
var timmName = regexp.MustCompile(`^vit_(tiny|small|base|large|huge)_patch(\d+)_(\d+)$`)

// timmSizes are width, blocks and heads of such a name.
var timmSizes = map[string][3]int{"tiny": {192, 12, 3}, "small": {384, 12, 6}, "base": {768, 12, 12},
	"large": {1024, 24, 16}, "huge": {1280, 32, 16}}

// timmPlain are the arguments of a model that a plain ViT may have in these
// values alone. Rates of what is dropped in training, and what timm does not
// build a network from, are not looked at.
var timmPlain = map[string][]string{
	"global_pool": {`"token"`}, "class_token": {"true"}, "pos_embed": {`"learn"`}, "no_embed_class": {"false"},
	"act_layer": {"null", `"gelu"`}, "norm_layer": {"null"}, "init_values": {"null"}, "qk_norm": {"false"},
	"pre_norm": {"false"}, "final_norm": {"true"}, "fc_norm": {"null", "false"}, "proj_bias": {"true"},
	"reg_tokens": {"0"}, "dynamic_img_size": {"false"}, "dynamic_img_pad": {"false"},
}

var timmFree = regexp.MustCompile(`^(num_classes|.*drop.*|weight_init|pretrained.*)$`)

// readTimm reads the keys of timm. Which heads and which epsilon a network has
// stands in the name of its architecture alone.
func (c *Config) readTimm() error {
	m := c.extra
	c.extra = nil // keys of timm would make another program take the exported folder for timm's
	var name string
	if err := take(m, "architecture", &name); err != nil {
		return err
	}
	found := timmName.FindStringSubmatch(name)
	if found == nil {
		return fmt.Errorf("a timm folder of architecture %q; of timm, only plain vit_SIZE_patchN_N are known: convert it",
			jsonobj.Clip(name))
	}
	c.HiddenSize, c.NumLayers, c.NumHeads = timmSizes[found[1]][0], timmSizes[found[1]][1], timmSizes[found[1]][2]
	c.PatchSize, _ = strconv.Atoi(found[2]) // digits; too many of them give what Check refuses
	c.ImageSize, _ = strconv.Atoi(found[3])
	c.LayerNormEps = 1e-6
	cfg, err := takeObject(m, "pretrained_cfg")
	if err != nil {
		return err
	}
	args, err := takeObject(m, "model_args")
	if err != nil {
		return err
	}
	var pool *string
	if err := take(m, "global_pool", &pool); err != nil {
		return err
	}
	if pool != nil && *pool != "token" {
		return fmt.Errorf("global_pool is %q; only \"token\" is known", jsonobj.Clip(*pool))
	}
	if err := c.timmInput(cfg); err != nil {
		return err
	}
	if err := c.timmArgs(args); err != nil {
		return err
	}
	if err := take(m, "label_names", &c.Labels); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	c.input, err = c.timmPreprocessor(cfg)
	return err
}

// timmArgs are what the folder's network has otherwise than its name says.
func (c *Config) timmArgs(args map[string]json.RawMessage) error {
	ratio := 4.0
	for key, dst := range map[string]any{"embed_dim": &c.HiddenSize, "depth": &c.NumLayers, "num_heads": &c.NumHeads,
		"in_chans": &c.NumChannels, "mlp_ratio": &ratio, "qkv_bias": &c.QKVBias} {
		if err := take(args, key, dst); err != nil {
			return err
		}
	}
	for key, dst := range map[string]*int{"img_size": &c.ImageSize, "patch_size": &c.PatchSize} {
		if err := takeSquare(args, key, dst); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(args)) {
		if !timmFree.MatchString(key) && !slices.Contains(timmPlain[key], string(args[key])) {
			return fmt.Errorf("model_args: %s is %s, which is no plain ViT: convert the timm folder", jsonobj.Clip(key),
				jsonobj.Clip(string(args[key])))
		}
	}
	if !(ratio > 0 && ratio < maxSize) {
		return fmt.Errorf("model_args: mlp_ratio is %v", ratio)
	}
	c.IntermediateSize = int(math.Floor(float64(c.HiddenSize) * ratio))
	return nil
}

// timmInput takes the image size that the weights were made for.
func (c *Config) timmInput(cfg map[string]json.RawMessage) error {
	var size []int
	if err := take(cfg, "input_size", &size); err != nil || size == nil {
		return err
	}
	if len(size) != 3 || size[1] != size[2] {
		return fmt.Errorf("pretrained_cfg: input_size %v is not square", size)
	}
	c.NumChannels, c.ImageSize = size[0], size[1]
	return nil
}

// timmPreprocessor is timm's transform for evaluation.
func (c *Config) timmPreprocessor(cfg map[string]json.RawMessage) (*Preprocessor, error) {
	pct, mode, filter := 0.875, "center", "bicubic"
	p := processors[anyProcessor].preprocessor(anyProcessor, c.NumChannels)
	p.Mean, p.Std = []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225}
	for key, dst := range map[string]any{"crop_pct": &pct, "crop_mode": &mode, "interpolation": &filter,
		"mean": &p.Mean, "std": &p.Std} {
		if err := take(cfg, key, dst); err != nil {
			return nil, fmt.Errorf("pretrained_cfg: %w", err)
		}
	}
	resample := slices.Index([]string{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"}, filter)
	if resample < 0 {
		return nil, fmt.Errorf("pretrained_cfg: interpolation is %q", jsonobj.Clip(filter))
	}
	if !(pct > 0.01 && pct <= 1) {
		return nil, fmt.Errorf("pretrained_cfg: crop_pct is %v", pct)
	}
	p.Resample, p.CropSide, p.CropEven = resample, c.ImageSize, true
	edge := int(math.Floor(float64(c.ImageSize) / pct))
	switch mode {
	case "center":
		p.Shortest = edge
	case "squash":
		p.Shortest, p.Width, p.Height = 0, edge, edge
	default:
		return nil, fmt.Errorf("pretrained_cfg: crop_mode is %q; center and squash are known", jsonobj.Clip(mode))
	}
	return p, p.check(c)
}

// takeObject moves an object out of m; one that is not there has no keys.
func takeObject(m map[string]json.RawMessage, key string) (map[string]json.RawMessage, error) {
	raw := m[key]
	delete(m, key)
	if len(raw) == 0 || string(raw) == "null" {
		return map[string]json.RawMessage{}, nil
	}
	parts, err := jsonobj.Raw(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return parts, nil
}
