package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/flops-vit/flops/internal/tokenizer"
	"github.com/flops-vit/flops/internal/vit"
)

func init() {
	registerText(&textFamily{
		name: "open_clip's text tower",
		is:   func(m map[string]json.RawMessage) bool { return m["model_cfg"] != nil },
		read: readOpenCLIPText,
		names: naming{spelled: []spelling{
			{from: regexp.MustCompile(`^(transformer\..*\.attn\.)(?P<part>query|key|value)\.(weight|bias)$`),
				to: "${1}in_proj_$3", parts: []string{"query", "key", "value"}},
			{from: regexp.MustCompile(`^text_projection\.weight$`), to: "text_projection", transposed: true},
		}},
		tokenizer: tokenizer.LoadBPE,
	})
}

// readOpenCLIPText reads the text tower of model_cfg. What is absent is what
// open_clip's CLIPTextCfg assumes; a text is read at its largest id.
func readOpenCLIPText(m map[string]json.RawMessage) (vit.Text, error) {
	t := vit.Text{Context: 77, Vocabulary: 49408, Hidden: 512, Layers: 12, Heads: 8, Eps: 1e-5,
		Act: vit.GELU, Causal: true,
		Projected: 512, End: vit.EndLargest, Names: openCLIPText()}
	model, err := takeObject(m, "model_cfg")
	if err != nil {
		return t, err
	}
	c, err := takeObject(model, "text_cfg")
	if err != nil {
		return t, err
	}
	if raw := string(model["custom_text"]); raw == "true" {
		return t, errors.New("model_cfg: custom_text: a text tower under other names, which is not known here")
	}
	for key, plain := range map[string]string{"hf_model_name": "null", "hf_tokenizer_name": "null", "embed_cls": "false",
		"no_causal_mask": "false", "final_ln_after_pool": "false", "pool_type": `"argmax"`, "proj_bias": "false",
		"proj_type": `"linear"`, "norm_kwargs": "{}", "act_kwargs": "{}", "ls_init_value": "null"} {
		if raw := string(c[key]); raw != "" && raw != "null" && raw != plain {
			return t, fmt.Errorf("model_cfg: text_cfg: %s: a text tower of another kind, which is not known here", key)
		}
	}
	quick, ratio := false, 4.0
	if err := takeAll(model, map[string]any{"embed_dim": &t.Projected, "quick_gelu": &quick}); err != nil {
		return t, err
	}
	err = takeAll(c, map[string]any{"context_length": &t.Context, "vocab_size": &t.Vocabulary, "width": &t.Hidden,
		"heads": &t.Heads, "layers": &t.Layers, "mlp_ratio": &ratio})
	if err != nil {
		return t, fmt.Errorf("model_cfg: text_cfg: %w", err)
	}
	if !(ratio > 0 && ratio < maxSize) {
		return t, errors.New("model_cfg: text_cfg: mlp_ratio is no size")
	}
	if t.MLP = int(float64(t.Hidden) * ratio); quick {
		t.Act = vit.QuickGELU
	}
	return t, nil
}

// openCLIPText are open_clip's names.
func openCLIPText() vit.TextNames {
	return vit.TextNames{Tokens: "token_embedding.weight", Positions: "positional_embedding", Final: "ln_final",
		Projection: "text_projection", Block: func(l int) vit.TextBlock {
			p := fmt.Sprintf("transformer.resblocks.%d.", l)
			return vit.TextBlock{Norm1: p + "ln_1", Norm2: p + "ln_2", Maps: map[string]string{
				vit.Query: p + "attn.query", vit.Key: p + "attn.key", vit.Value: p + "attn.value",
				vit.AttnOut: p + "attn.out_proj", vit.MLPIn: p + "mlp.c_fc", vit.MLPOut: p + "mlp.c_proj"}}
		}}
}
