package hf

import (
	"encoding/json"
	"errors"
	"regexp"

	"github.com/flops-vit/flops/internal/vit"
)

func init() {
	const prefix = "beit."
	rules := append(denseNames(prefix), `^(beit\.)?shared_position_bias\.`, "beit.encoder.relative_position_bias.",
		`^(beit\.encoder\.layer\.\d+\.)(?:attention\.)?relative_position_bias\.`,
		"${1}attention.attention.relative_position_bias.")
	register(&family{
		name: "BEiT", types: []string{"beit"},
		read: func(c *Config, m map[string]json.RawMessage) error {
			mean, absolute, each, shared, scale := true, false, false, false, 0.1
			if err := takeAll(m, map[string]any{"use_mean_pooling": &mean, "use_absolute_position_embeddings": &absolute,
				"use_relative_position_bias": &each, "use_shared_relative_position_bias": &shared,
				"layer_scale_init_value": &scale}); err != nil {
				return err
			}
			net := vit.BEiT(vit.Arch{}, mean)
			net.Scaled = scale > 0
			if absolute {
				net.Positions = vit.PositionsAll
			}
			switch {
			case each && shared:
				return errors.New("use_relative_position_bias and use_shared_relative_position_bias are both true")
			case each:
				net.Relative = vit.RelativeBlock
			case shared:
				net.Relative = vit.RelativeOne
			}
			c.scaleInit = scale
			return c.readBERT(m, net, vit.GELU)
		},
		names: naming{rules: bertNames(prefix, rules...)},
		adapt: func(c *Config, e *vit.Encoder) { e.FixedPlaces = c.turnedTable() },
		write: func(c *Config) map[string]any {
			n := c.net
			return map[string]any{"model_type": "beit", "use_mean_pooling": n.Pool == vit.PoolMean,
				"use_absolute_position_embeddings":  n.Positions == vit.PositionsAll,
				"use_relative_position_bias":        n.Relative == vit.RelativeBlock,
				"use_shared_relative_position_bias": n.Relative == vit.RelativeOne, "layer_scale_init_value": decimal(c.scaleInit)}
		},
		with:    "BeitForImageClassification",
		without: "BeitModel",
		prefix:  prefix,
		ignored: regexp.MustCompile(`^beit\.(embeddings\.mask_token$|.*\.relative_position_index$)`),
		own:     regexp.MustCompile(`^(beit|classifier)\.`),
		resizes: true,
	})
}
