package hf

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/flops-vit/flops/internal/vit"
)

func init() {
	register(dinoV2("DINOv2", "dinov2", "Dinov2", 0))
	register(dinoV2("DINOv2 with registers", "dinov2_with_registers", "Dinov2WithRegisters", 4))
	register(dinoV3)
}

// dinoV2 is DINOv2, with so many registers where its config says none.
func dinoV2(name, kind, class string, registers int) *family {
	prefix := kind + "."
	block := `^(` + regexp.QuoteMeta(prefix) + `encoder\.layer\.\d+\.)`
	return &family{
		name: name, types: []string{kind},
		read: func(c *Config, m map[string]json.RawMessage) error {
			c.LayerNormEps, c.ratio = 1e-6, 4
			n, gated := registers, false
			if kind == "dinov2" {
				c.PatchSize = 14
			} else if err := take(m, "num_register_tokens", &n); err != nil {
				return err
			}
			if n < 0 || n > 1<<12 {
				return fmt.Errorf("num_register_tokens is %d", n)
			}
			if err := takeAll(m, map[string]any{"use_swiglu_ffn": &gated, "mlp_ratio": &c.ratio}); err != nil {
				return err
			}
			delete(m, "intermediate_size") // which the library does not read here
			net := vit.DINOv2(vit.Arch{}, 0, gated)
			if kind != "dinov2" {
				net = vit.DINOv2WithRegisters(vit.Arch{}, n, gated)
			}
			if err := c.readBERT(m, net, vit.GELU); err != nil {
				return err
			}
			return c.dinoV2Width(gated)
		},
		names: naming{
			rules: bertNames(prefix, block+`mlp\.down_proj\.`, "${1}mlp.weights_out."),
			spelled: []spelling{{from: regexp.MustCompile(`^(.*\.mlp\.)(?P<part>gate|up)_proj\.(weight|bias)$`),
				to: "${1}weights_in.$3", parts: []string{"gate", "up"}}},
		},
		adapt: func(c *Config, e *vit.Encoder) {
			if e.Classes == 0 { // of the model alone
				e.Pool = vit.PoolCls
			}
		},
		write: func(c *Config) map[string]any {
			m := map[string]any{"model_type": kind, "qkv_bias": c.QKVBias, "mlp_ratio": c.ratio,
				"use_swiglu_ffn": c.net.Gated, "intermediate_size": nil}
			if kind != "dinov2" {
				m["num_register_tokens"] = c.net.Registers
			}
			return m
		},
		with: class + "ForImageClassification", without: class + "Model",
		prefix:  prefix,
		ignored: regexp.MustCompile(`^` + regexp.QuoteMeta(prefix) + `embeddings\.mask_token$`),
		own:     regexp.MustCompile(`^(` + regexp.QuoteMeta(kind) + `|classifier)\.`),
		resizes: true, antialias: kind != "dinov2",
	}
}

// dinoV2Width is the width of the feed-forward layer by its ratio.
func (c *Config) dinoV2Width(gated bool) error {
	n := float64(c.HiddenSize) * c.ratio
	if !(n >= 1 && n <= maxSize) {
		return fmt.Errorf("mlp_ratio is %v", c.ratio)
	}
	if c.IntermediateSize = int(n); gated {
		c.IntermediateSize = (c.IntermediateSize*2/3 + 7) / 8 * 8
		c.Act = vit.SiLU
	}
	return c.Check()
}

var dinoV3 = &family{
	name: "DINOv3", types: []string{"dinov3_vit"},
	read: func(c *Config, m map[string]json.RawMessage) error {
		c.HiddenSize, c.NumHeads, c.IntermediateSize, c.LayerNormEps = 384, 6, 1536, 1e-5
		registers, gated, theta := 0, false, 100.0
		query, key, value, out, mlp := true, false, true, true, true
		if err := takeAll(m, map[string]any{"num_register_tokens": &registers, "use_gated_mlp": &gated, "query_bias": &query,
			"key_bias": &key, "value_bias": &value, "proj_bias": &out, "mlp_bias": &mlp}); err != nil {
			return err
		}
		for _, key := range []string{"rope_parameters", "rope_scaling"} { // older configs nest the base
			nested, err := takeObject(m, key)
			if err != nil {
				return err
			}
			if err := take(nested, "rope_theta", &theta); err != nil {
				return err
			}
		}
		if err := take(m, "rope_theta", &theta); err != nil {
			return err
		}
		if registers < 0 || registers > 1<<12 || !(theta > 1 && theta < 1e12) {
			return fmt.Errorf("num_register_tokens is %d and rope_theta %v", registers, theta)
		}
		net := vit.DINOv3(vit.Arch{}, registers, gated)
		net.Rope = theta
		net.NoQueryBias, net.NoKeyBias, net.NoValueBias, net.NoOutBias, net.NoMLPBias = !query, !key, !value, !out, !mlp
		return c.readBERT(m, net, vit.GELU)
	},
	names: naming{rules: renames(`^model\.`, "")},
	write: func(c *Config) map[string]any {
		n := c.net
		return map[string]any{"model_type": "dinov3_vit", "num_register_tokens": n.Registers, "rope_theta": decimal(n.Rope),
			"use_gated_mlp": n.Gated, "query_bias": !n.NoQueryBias, "key_bias": !n.NoKeyBias, "value_bias": !n.NoValueBias,
			"proj_bias": !n.NoOutBias, "mlp_bias": !n.NoMLPBias}
	},
	without: "DINOv3ViTModel",
	ignored: regexp.MustCompile(`^embeddings\.mask_token$`),
	own:     regexp.MustCompile(`^(embeddings|layer|norm|classifier)\.`),
	resizes: true,
}
