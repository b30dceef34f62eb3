package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/vit"
)

// The files of an open_clip model.
const (
	openCLIPConfig  = "open_clip_config.json"
	openCLIPWeights = "open_clip_model.safetensors"
)

// configPath is the file that says what a folder's network is.
func configPath(dir string) string {
	path := filepath.Join(dir, ConfigName)
	if other := filepath.Join(dir, openCLIPConfig); !fsys.Exists(path) && fsys.Exists(other) {
		return other
	}
	return path
}

// Holds says whether files of these names hold a network.
func Holds(names map[string]bool) bool { return names[ConfigName] || names[openCLIPConfig] }

func init() {
	register(&family{
		name: "open_clip's vision tower",
		is:   func(m map[string]json.RawMessage) bool { return m["model_cfg"] != nil },
		read: (*Config).readOpenCLIP,
		names: naming{spelled: []spelling{
			{from: regexp.MustCompile(`^(visual\..*\.attn\.)(?P<part>query|key|value)\.(weight|bias)$`), to: "${1}in_proj_$3",
				parts: []string{"query", "key", "value"}},
			{from: regexp.MustCompile(`^visual\.proj\.weight$`), to: "visual.proj", transposed: true},
		}},
		see: func(c *Config, info func(string) (safetensors.Info, bool)) error {
			_, c.net.Scaled = info("visual.transformer.resblocks.0.ls_1.gamma")
			if i, ok := info("visual.proj"); ok && len(i.Shape) == 2 {
				c.Projected = i.Shape[1]
			} else {
				c.Projected = 0
			}
			return nil
		},
		marshal: marshalOpenCLIP,
		ignored: regexp.MustCompile(`^(transformer|token_embedding|ln_final)\.|^(positional_embedding|text_projection|` +
			`logit_scale|logit_bias|attn_mask)$|^text\.`),
		own:      regexp.MustCompile(`^(visual|classifier)\.`),
		headless: true,
		config:   openCLIPConfig, weights: openCLIPWeights,
	})
}

// readOpenCLIP reads model_cfg. What is absent is what open_clip's CLIPVisionCfg
// assumes.
func (c *Config) readOpenCLIP(m map[string]json.RawMessage) error {
	model, err := takeObject(m, "model_cfg")
	if err != nil {
		return err
	}
	v, err := takeObject(model, "vision_cfg")
	if err != nil {
		return err
	}
	quick, head, ratio := false, 64, 4.0
	c.HiddenSize, c.LayerNormEps, c.Projected = 768, 1e-5, 512
	if err := takeAll(model, map[string]any{"embed_dim": &c.Projected, "quick_gelu": &quick}); err != nil {
		return err
	}
	for _, key := range []string{"timm_model_name", "custom_text", "hf_model_name"} {
		if raw := v[key]; len(raw) > 0 && string(raw) != "null" && string(raw) != "false" {
			return fmt.Errorf("model_cfg: vision_cfg: %s: a tower of another program, which is not known here", key)
		}
	}
	if raw := v["layers"]; len(raw) > 0 && raw[0] != '1' && (raw[0] < '0' || raw[0] > '9') {
		return fmt.Errorf("model_cfg: vision_cfg: layers is %s, which is no transformer's (a ResNet?)",
			jsonobj.Clip(string(raw)))
	}
	for key, plain := range map[string]string{"attentional_pool": "false", "pool_type": `"tok"`, "no_ln_pre": "false",
		"final_ln_after_pool": "false", "input_patchnorm": "false", "pos_embed_type": `"learnable"`, "norm_kwargs": "{}",
		"act_kwargs": "{}", "attn_pooler_queries": "256"} {
		raw := string(v[key])
		if raw != "" && raw != "null" && raw != plain && key != "attn_pooler_queries" {
			return fmt.Errorf("model_cfg: vision_cfg: %s is %s; only %s is known", key, jsonobj.Clip(raw), plain)
		}
	}
	if err := takeAll(v, map[string]any{"layers": &c.NumLayers, "width": &c.HiddenSize, "head_width": &head,
		"mlp_ratio": &ratio}); err != nil {
		return fmt.Errorf("model_cfg: vision_cfg: %w", err)
	}
	if err := takePair(v, "image_size", &c.ImageSize, &c.ImageWidth); err != nil {
		return err
	}
	across := 0
	if err := takePair(v, "patch_size", &c.PatchSize, &across); err != nil {
		return err
	}
	if head < 1 || across != 0 || !(ratio > 0 && ratio < maxSize) {
		return errors.New("model_cfg: vision_cfg: head_width, patch_size or mlp_ratio is no size that is known")
	}
	c.NumHeads, c.IntermediateSize = c.HiddenSize/head, int(float64(c.HiddenSize)*ratio)
	if c.Act = vit.GELU; quick {
		c.Act = vit.QuickGELU
	}
	c.net = vit.OpenCLIP(vit.Arch{}, 0)
	if err := c.readTask(m); err != nil {
		return err
	}
	return c.openCLIPPreprocessor(m)
}

// openCLIPPreprocessor is open_clip's transform for evaluation.
func (c *Config) openCLIPPreprocessor(m map[string]json.RawMessage) error {
	cfg, err := takeObject(m, "preprocess_cfg")
	if err != nil {
		return err
	}
	filter, mode := "bicubic", "shortest"
	p := processors[anyProcessor].preprocessor(anyProcessor, c.NumChannels)
	if err := takeAll(cfg, map[string]any{"mean": &p.Mean, "std": &p.Std, "interpolation": &filter,
		"resize_mode": &mode}); err != nil {
		return fmt.Errorf("preprocess_cfg: %w", err)
	}
	if p.Resample = resampleNamed(filter); p.Resample < 0 {
		return fmt.Errorf("preprocess_cfg: interpolation is %q", jsonobj.Clip(filter))
	}
	switch mode {
	case "shortest":
		p.Shortest, p.CropSide, p.CropEven = c.ImageSize, c.ImageSize, true
	case "squash":
		p.Shortest, p.Crop, p.CropSide, p.Width, p.Height = 0, false, 0, c.Columns(), c.ImageSize
	default:
		return fmt.Errorf("preprocess_cfg: resize_mode is %q; shortest and squash are known", jsonobj.Clip(mode))
	}
	c.input = p
	return p.check(c)
}

// marshalOpenCLIP is the config as it came, at the size of the images now.
func marshalOpenCLIP(c *Config, classes int) (map[string]any, error) {
	m := map[string]any{}
	for k, v := range c.raw {
		m[k] = v
	}
	model, err := takeObject(maps.Clone(c.raw), "model_cfg")
	if err != nil {
		return nil, err
	}
	v, err := takeObject(maps.Clone(model), "vision_cfg")
	if err != nil {
		return nil, err
	}
	vision, whole := map[string]any{}, map[string]any{}
	for k, x := range v {
		vision[k] = x
	}
	for k, x := range model {
		whole[k] = x
	}
	vision["image_size"] = pair(c.ImageSize, c.ImageWidth)
	whole["vision_cfg"], m["model_cfg"] = vision, whole
	if classes > 0 {
		ids := map[string]string{}
		for i, l := range c.Labels {
			ids[fmt.Sprint(i)] = l
		}
		m["id2label"] = ids
	}
	return m, nil
}
