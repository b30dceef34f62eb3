package hf

import (
	"encoding/json"

	"github.com/flops-vit/flops/internal/tokenizer"
	"github.com/flops-vit/flops/internal/vit"
)

func init() {
	registerText(&textFamily{
		name: "SigLIP's text tower",
		is: func(m map[string]json.RawMessage) bool {
			return isKind(m, "siglip", "siglip_text_model")
		},
		read: readSigLIPText,
		names: naming{rules: renames(
			`^(embeddings|encoder|final_layer_norm)\.`, "text_model.${1}.",
		)},
		tokenizer: tokenizer.LoadUnigram,
		sigmoid:   true,
	})
}

// readSigLIPText reads a SiglipTextConfig, flat or below text_config.
func readSigLIPText(m map[string]json.RawMessage) (vit.Text, error) {
	t := vit.Text{Context: 64, Vocabulary: 32000, Hidden: 768, Layers: 12, Heads: 12, MLP: 3072, Eps: 1e-6,
		Act: vit.TanhGELU, End: vit.EndLast, Biased: true, Names: vit.HFText("text_model.head")}
	tower := m
	if isKind(m, "siglip") {
		var err error
		if tower, err = textTower(m); err != nil {
			return t, err
		}
	}
	if err := readText(tower, &t); err != nil {
		return t, err
	}
	t.Projected = t.Hidden
	return t, take(tower, "projection_size", &t.Projected)
}
