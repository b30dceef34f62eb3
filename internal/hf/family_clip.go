package hf

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/vit"
)

func init() {
	register(clipVision)
	register(siglipVision)
	register(&family{
		name: "SigLIP 2 of any shape (naflex)", types: []string{"siglip2", "siglip2_vision_model"},
		read: func(*Config, map[string]json.RawMessage) error {
			return fmt.Errorf("model_type siglip2 takes images of any shape (naflex), which is not known here; " +
				"SigLIP 2 of a fixed size is model_type siglip")
		},
		own: regexp.MustCompile(`^$`), ignored: regexp.MustCompile(`^$`),
	})
}

// towerPrefix is the rule for files without the tower's prefix, as version 5 of
// transformers writes them of the tower alone.
var towerPrefix = renames(`^(embeddings|encoder|pre_layrnorm|post_layernorm|head)\.`, "vision_model.${1}.")

var textIgnored = `text_model\.|text_projection\.|logit_scale$|logit_bias$|.*\.position_ids$`

// clipVision is CLIP's vision tower: transformers' CLIPVisionModel, with a
// projection or without, and the one inside of a CLIPModel, whose text tower is
// no part of it.
var clipVision = &family{
	name: "CLIP's vision tower", types: []string{"clip", "clip_vision_model"},
	read:  (*Config).readCLIP,
	names: naming{rules: towerPrefix},
	see: func(c *Config, info func(string) (safetensors.Info, bool)) error {
		if _, ok := info("visual_projection.weight"); !ok { // a projection_dim stands in the config either way
			c.Projected = 0
		}
		return nil
	},
	write: func(c *Config) map[string]any {
		m := map[string]any{"model_type": c.modelType}
		if c.Projected > 0 && c.tower == "" {
			m["projection_dim"] = c.Projected
		}
		return m
	},
	ignored:  regexp.MustCompile(`^(` + textIgnored + `|vision_model\.post_layernorm\.|visual_projection\.)`),
	own:      regexp.MustCompile(`^(vision_model|visual_projection|classifier)\.`),
	headless: true,
}

// siglipVision is SigLIP's vision tower, alone or in a SiglipModel.
var siglipVision = &family{
	name: "SigLIP's vision tower", types: []string{"siglip", "siglip_vision_model"},
	read: (*Config).readSigLIP,
	names: naming{rules: towerPrefix, spelled: []spelling{{
		from: regexp.MustCompile(`^(vision_model\.head\.attention\.)(?P<part>query|key|value)\.(weight|bias)$`),
		to:   "${1}in_proj_$3", parts: []string{"query", "key", "value"}}}},
	write: func(c *Config) map[string]any {
		m := map[string]any{"model_type": c.modelType}
		if c.tower == "" {
			m["vision_use_head"] = c.net.Pool != vit.PoolMean || c.class == siglipClassifier
		}
		return m
	},
	ignored:  regexp.MustCompile(`^(` + textIgnored + `|vision_model\.head\.)`),
	own:      regexp.MustCompile(`^(vision_model|classifier)\.`),
	headless: true,
}

const (
	clipClassifier   = "CLIPForImageClassification"
	siglipClassifier = "SiglipForImageClassification"
)

// readTower finds the keys of a vision tower, flat or below vision_config.
func (c *Config) readTower(m map[string]json.RawMessage, whole string) (map[string]json.RawMessage, error) {
	if c.modelType != whole {
		return m, nil
	}
	c.tower = "vision_config"
	tower := map[string]json.RawMessage{}
	for _, key := range []string{"vision_config", "vision_config_dict"} { // the old key counts where both are
		if raw := m[key]; len(raw) > 0 && string(raw) != "null" {
			var err error
			if tower, err = takeObject(m, key); err != nil {
				return nil, err
			}
		}
	}
	return tower, nil
}

// readCLIP reads the keys of a tower. What is absent is what
// transformers.CLIPVisionConfig assumes.
func (c *Config) readCLIP(m map[string]json.RawMessage) error {
	c.PatchSize, c.LayerNormEps, c.Projected = 32, 1e-5, 512
	c.net = vit.CLIP(vit.Arch{}, 0, c.class == clipClassifier)
	tower, err := c.readTower(m, "clip")
	if err != nil {
		return err
	}
	if err := take(m, "projection_dim", &c.Projected); err != nil {
		return err
	}
	if c.Projected < 1 || c.Projected > maxSize {
		return fmt.Errorf("projection_dim is %d", c.Projected)
	}
	if c.class == clipClassifier {
		c.Projected = 0
	}
	err = all(func() error { return c.readAct(tower, vit.QuickGELU) }, func() error { return c.readSizes(tower) },
		func() error { return c.readTask(m) })
	if err == nil {
		c.assume(anyProcessor)
	}
	return err
}

// readSigLIP reads the keys of a tower. What is absent is what
// transformers.SiglipVisionConfig assumes.
func (c *Config) readSigLIP(m map[string]json.RawMessage) error {
	c.LayerNormEps = 1e-6
	head := true
	tower, err := c.readTower(m, "siglip")
	if err != nil {
		return err
	}
	if err := take(tower, "vision_use_head", &head); err != nil {
		return err
	}
	pool := vit.PoolAttention
	if !head || c.class == siglipClassifier {
		pool = vit.PoolMean
	}
	c.net = vit.SigLIP(vit.Arch{}, pool)
	err = all(func() error { return c.readAct(tower, vit.TanhGELU) }, func() error { return c.readSizes(tower) },
		func() error { return c.readTask(m) })
	if err == nil {
		c.assume("SiglipImageProcessor")
	}
	return err
}

// assume prepares images as a class of transformers does, at the config's size,
// where no file says otherwise.
func (c *Config) assume(class string) {
	if c.NumChannels != len(clipMean) {
		return
	}
	p := processors[class].preprocessor(class, c.NumChannels)
	if p.Crop {
		p.Shortest, p.CropSide = c.ImageSize, c.ImageSize
	} else {
		p.Width, p.Height = c.Columns(), c.ImageSize
	}
	c.input = p
}
