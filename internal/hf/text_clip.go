package hf

import (
	"encoding/json"

	"github.com/flops-vit/flops/internal/tokenizer"
	"github.com/flops-vit/flops/internal/vit"
)

func init() {
	registerText(&textFamily{
		name: "CLIP's text tower",
		is: func(m map[string]json.RawMessage) bool {
			return isKind(m, "clip", "clip_text_model")
		},
		read: readCLIPText,
		names: naming{rules: renames(
			`^(embeddings|encoder|final_layer_norm)\.`, "text_model.${1}.",
		)},
		tokenizer: tokenizer.LoadBPE,
	})
}

// readCLIPText reads a CLIPTextConfig, flat or below text_config. OpenAI's own
// configs say eos_token_id 2, which is no end of text: transformers then takes the
// largest id.
func readCLIPText(m map[string]json.RawMessage) (vit.Text, error) {
	t := vit.Text{Context: 77, Vocabulary: 49408, Hidden: 512, Layers: 12, Heads: 8, MLP: 2048, Eps: 1e-5,
		Act: vit.QuickGELU, Causal: true, EOS: 49407, Projected: 512, Names: vit.HFText("text_projection")}
	tower := m
	if isKind(m, "clip") {
		if err := take(m, "projection_dim", &t.Projected); err != nil {
			return t, err
		}
		var err error
		if tower, err = textTower(m); err != nil {
			return t, err
		}
	} else if err := take(m, "projection_dim", &t.Projected); err != nil {
		return t, err
	}
	if err := take(tower, "eos_token_id", &t.EOS); err != nil {
		return t, err
	}
	if t.End = vit.EndFirst; t.EOS == 2 {
		t.End = vit.EndLargest
	}
	return t, readText(tower, &t)
}
