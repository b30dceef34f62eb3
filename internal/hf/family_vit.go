package hf

import (
	"encoding/json"
	"regexp"

	"github.com/flops-vit/flops/internal/vit"
)

// The pooler is read by nothing after it in a classifier; mask token and decoder
// belong to masked-image pretraining.
var viTIgnored = regexp.MustCompile(`^(vit\.pooler\.|vit\.embeddings\.mask_token$|decoder\.)`)

// plainViT is transformers' ViTForImageClassification.
var plainViT = &family{
	name: "ViT",
	read: func(c *Config, m map[string]json.RawMessage) error {
		return c.readBERT(m, vit.ViT(vit.Arch{}), vit.GELU)
	},
	names:   naming{rules: bertNames("vit.", denseNames("vit.")...)},
	adapt:   (*Config).pooler,
	write:   func(c *Config) map[string]any { return map[string]any{"model_type": "vit", "qkv_bias": c.QKVBias} },
	with:    "ViTForImageClassification",
	without: "ViTModel",
	prefix:  "vit.",
	ignored: viTIgnored,
	before:  viTIgnored,
	own:     regexp.MustCompile(`^(vit|classifier)\.`),
}

func init() {
	msn := *plainViT
	msn.name, msn.types, msn.with, msn.without = "ViT-MSN", []string{"vit_msn"}, "ViTMSNForImageClassification",
		"ViTMSNModel"
	msn.write = func(c *Config) map[string]any { return map[string]any{"model_type": "vit_msn", "qkv_bias": c.QKVBias} }
	msn.read = func(c *Config, m map[string]json.RawMessage) error {
		c.LayerNormEps = 1e-6
		return plainViT.read(c, m)
	}
	register(&msn)

	mae := *plainViT // its encoder; a classifier of it is a ViT's
	mae.name, mae.types = "ViT-MAE", []string{"vit_mae"}
	mae.without = "ViTMAEForPreTraining"
	mae.write = func(c *Config) map[string]any {
		kind := "vit_mae"
		if len(c.Labels) > 0 {
			kind = "vit"
		}
		return map[string]any{"model_type": kind, "qkv_bias": c.QKVBias}
	}
	register(&mae)

	register(&family{
		name: "I-JEPA", types: []string{"ijepa"},
		read: func(c *Config, m map[string]json.RawMessage) error {
			c.LayerNormEps = 1e-6
			return c.readBERT(m, vit.IJEPA(vit.Arch{}), vit.GELU)
		},
		names:   naming{rules: bertNames("ijepa.", denseNames("ijepa.")...)},
		write:   func(c *Config) map[string]any { return map[string]any{"model_type": "ijepa", "qkv_bias": c.QKVBias} },
		with:    "IJepaForImageClassification",
		without: "IJepaModel",
		prefix:  "ijepa.",
		ignored: regexp.MustCompile(`^ijepa\.(pooler\.|embeddings\.mask_token$)`),
		before:  regexp.MustCompile(`^ijepa\.(pooler\.|embeddings\.mask_token$)`),
		own:     regexp.MustCompile(`^(ijepa|classifier)\.`),
	})
	register(&family{
		name: "DeiT", types: []string{"deit"},
		read: func(c *Config, m map[string]json.RawMessage) error {
			return c.readBERT(m, vit.DeiT(vit.Arch{}, c.class == deiTTeacher), vit.GELU)
		},
		names:   naming{rules: bertNames("deit.", denseNames("deit.")...)},
		adapt:   (*Config).pooler,
		write:   func(c *Config) map[string]any { return map[string]any{"model_type": "deit", "qkv_bias": c.QKVBias} },
		with:    "DeiTForImageClassification",
		without: "DeiTModel",
		prefix:  "deit.",
		ignored: regexp.MustCompile(`^deit\.(pooler\.|embeddings\.mask_token$)`),
		before:  regexp.MustCompile(`^deit\.(pooler\.|embeddings\.mask_token$)`),
		own:     regexp.MustCompile(`^(deit|classifier|cls_classifier|distillation_classifier)\.`),
	})
}

const deiTTeacher = "DeiTForImageClassificationWithTeacher"

// pooler puts BERT's pooler before what View shows of a network without a
// classifier that has one.
func (c *Config) pooler(e *vit.Encoder) { e.Tanh = c.hasPooler && c.view == vit.LayerPooled }

// readBERT reads the keys of the families that follow BERT.
func (c *Config) readBERT(m map[string]json.RawMessage, net vit.Encoder, act vit.Act) error {
	c.net = net
	return all(func() error { return c.readAct(m, act) }, func() error { return c.readSizes(m) },
		func() error { return take(m, "qkv_bias", &c.QKVBias) }, func() error { return c.readTask(m) })
}
