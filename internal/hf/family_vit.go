package hf

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/vit"
)

// plainViT is transformers' ViTForImageClassification and its kin.
var plainViT = &family{
	name:      "ViT",
	is:        func(map[string]json.RawMessage) bool { return true },
	read:      (*Config).readViT,
	names:     hfNames,
	arch:      viTArch,
	write:     func(c *Config) map[string]any { return map[string]any{"model_type": "vit", "qkv_bias": c.QKVBias} },
	with:      func(*Config) string { return "ViTForImageClassification" },
	without:   func(*Config) string { return "ViTModel" },
	positions: "vit.embeddings.position_embeddings",
	// The pooler is read by nothing after it in a classifier; mask token and
	// decoder belong to masked-image pretraining.
	ignored: regexp.MustCompile(`^(vit\.pooler\.|vit\.embeddings\.mask_token$|decoder\.)`),
	own:     regexp.MustCompile(`^(vit|classifier)\.`),
}

func viTArch(c *Config, classes, prompts int) vit.Architecture {
	return vit.Arch{Image: c.ImageSize, Patch: c.PatchSize, Chans: c.NumChannels, Hidden: c.HiddenSize,
		Layers: c.NumLayers, Heads: c.NumHeads, MLP: c.IntermediateSize, Classes: max(1, classes), Prompts: prompts,
		Eps: c.LayerNormEps, Act: c.Act, NoQKVBias: !c.QKVBias}
}

// readViT reads the keys of transformers.
func (c *Config) readViT() error {
	kind := "vit"
	if err := take(c.extra, "model_type", &kind); err != nil {
		return err
	}
	if kind != "vit" {
		return fmt.Errorf("model_type is %q, not \"vit\"", jsonobj.Clip(kind))
	}
	if err := c.readAct(c.extra, vit.GELU); err != nil {
		return err
	}
	if err := c.readSizes(c.extra); err != nil {
		return err
	}
	if err := take(c.extra, "qkv_bias", &c.QKVBias); err != nil {
		return err
	}
	return c.readTask()
}
