package hf

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/flops-vit/flops/internal/vit"
)

func init() { register(clipVision) }

// clipVision is CLIP's vision tower: transformers' CLIPVisionModel, with a
// projection or without, and the one inside of a CLIPModel, whose text tower is
// left unread.
var clipVision = &family{
	name: "CLIP's vision tower",
	is: func(m map[string]json.RawMessage) bool {
		kind := string(m["model_type"])
		return kind == `"clip"` || kind == `"clip_vision_model"`
	},
	read: (*Config).readCLIP,
	names: naming{rules: renames(
		`^(embeddings|encoder|pre_layrnorm|post_layernorm)\.`, "vision_model.${1}.",
	)},
	arch: func(c *Config, classes, prompts int) vit.Architecture {
		a := viTArch(c, classes, prompts).(vit.Arch)
		a.Classes = classes
		return vit.CLIPVision{Arch: a, Projected: c.Projected}
	},
	see: func(c *Config, has func(string) bool) { // a projection_dim stands in the config either way
		if !has("visual_projection.weight") {
			c.Projected = 0
		}
	},
	write:   writeCLIP,
	with:    clipClass, // transformers' own classifier reads other rows; ours is a map after the projection
	without: clipClass,

	positions: "vision_model.embeddings.position_embedding.weight",
	ignored:   regexp.MustCompile(`^(text_model|text_projection)\.|^logit_scale$|\.position_ids$`),
	own:       regexp.MustCompile(`^(vision_model|visual_projection|classifier)\.`),
	headless:  true,
}

func clipClass(c *Config) string {
	if c.Projected > 0 {
		return "CLIPVisionModelWithProjection"
	}
	return "CLIPVisionModel"
}

func writeCLIP(c *Config) map[string]any {
	m := map[string]any{"model_type": "clip_vision_model"}
	if c.Projected > 0 {
		m["projection_dim"] = c.Projected
	}
	return m
}

// readCLIP reads the keys of a tower, flat or below vision_config. What is absent
// is what transformers.CLIPVisionConfig assumes.
func (c *Config) readCLIP() error {
	c.PatchSize, c.LayerNormEps, c.Projected = 32, 1e-5, 512
	m := c.extra
	var classes []string
	if err := take(m, "architectures", &classes); err != nil {
		return err
	}
	for _, name := range classes {
		if name == "CLIPForImageClassification" {
			return fmt.Errorf("architectures has %s, which pools the patches and is not known yet", name)
		}
	}
	kind := ""
	if err := take(m, "model_type", &kind); err != nil {
		return err
	}
	tower := m
	if kind == "clip" {
		for _, key := range []string{"vision_config", "vision_config_dict"} { // the old key counts where both are
			if raw := m[key]; len(raw) > 0 && string(raw) != "null" {
				var err error
				if tower, err = takeObject(m, key); err != nil {
					return err
				}
			}
			delete(m, key)
		}
		if err := take(m, "projection_dim", &c.Projected); err != nil {
			return err
		}
		for _, key := range []string{"text_config", "text_config_dict", "logit_scale_init_value"} {
			delete(m, key)
		}
		delete(tower, "projection_dim") // of a CLIPModel the one at the top counts
	} else if err := take(m, "projection_dim", &c.Projected); err != nil {
		return err
	}
	if c.Projected < 1 || c.Projected > maxSize {
		return fmt.Errorf("projection_dim is %d", c.Projected)
	}
	if err := c.readAct(tower, vit.QuickGELU); err != nil {
		return err
	}
	if err := c.readSizes(tower); err != nil {
		return err
	}
	if err := c.readTask(); err != nil {
		return err
	}
	if c.NumChannels == len(clipMean) { // what its own class of preprocessor does, at its image size
		c.input = processors[anyProcessor].preprocessor(anyProcessor, c.NumChannels)
		c.input.Shortest, c.input.CropSide = c.ImageSize, c.ImageSize
	}
	return nil
}
