package hf

import (
	"regexp"
	"strings"

	"github.com/flops-vit/flops/internal/safetensors"
)

// naming is one way in which files name the tensors of a ViT.
type naming struct {
	rules []rename // turn such a name into that of ViTForImageClassification, in order
	// A renamed tensor with fused in its name holds several along its first
	// dimension, which have these parts there instead.
	fused string
	parts []string
	// closed: every tensor of such a file is of the network.
	closed bool
}

type rename struct {
	from *regexp.Regexp
	to   string
}

func renames(pairs ...string) []rename {
	var r []rename
	for i := 0; i < len(pairs); i += 2 {
		r = append(r, rename{regexp.MustCompile(pairs[i]), pairs[i+1]})
	}
	return r
}

// block is the prefix of a block's tensors.
const block = `^(vit\.encoder\.layer\.\d+\.)`

var (
	// hfNames are what transformers writes: save_pretrained under the names of its
	// version 4, a state dict of version 5 under those of its modules, and both
	// without the prefix where there is no classifier.
	hfNames = naming{rules: renames(
		`^(embeddings|encoder|layers|layernorm|pooler)\.`, "vit.${1}.",
		`^vit\.layers\.`, "vit.encoder.layer.",
		block+`attention\.q_proj\.`, "${1}attention.attention.query.",
		block+`attention\.k_proj\.`, "${1}attention.attention.key.",
		block+`attention\.v_proj\.`, "${1}attention.attention.value.",
		block+`attention\.o_proj\.`, "${1}attention.output.dense.",
		block+`mlp\.fc1\.`, "${1}intermediate.dense.",
		block+`mlp\.fc2\.`, "${1}output.dense.",
	)}
	// timmNames are those of timm's VisionTransformer.
	timmNames = naming{closed: true, fused: ".qkv.", parts: []string{".query.", ".key.", ".value."}, rules: renames(
		`^blocks\.`, "vit.encoder.layer.",
		block+`norm1\.`, "${1}layernorm_before.",
		block+`norm2\.`, "${1}layernorm_after.",
		block+`attn\.qkv\.`, "${1}attention.attention.qkv.",
		block+`attn\.proj\.`, "${1}attention.output.dense.",
		block+`mlp\.fc1\.`, "${1}intermediate.dense.",
		block+`mlp\.fc2\.`, "${1}output.dense.",
		`^cls_token$`, "vit.embeddings.cls_token",
		`^pos_embed$`, "vit.embeddings.position_embeddings",
		`^patch_embed\.proj\.`, "vit.embeddings.patch_embeddings.projection.",
		`^norm\.`, "vit.layernorm.",
		`^head\.`, "classifier.",
	)}
)

// canonical is the name of a tensor of a file, or those of its parts.
func (n naming) canonical(name string) []string {
	for _, r := range n.rules {
		name = r.from.ReplaceAllString(name, r.to)
	}
	if n.fused == "" || !strings.Contains(name, n.fused) {
		return []string{name}
	}
	var out []string
	for _, part := range n.parts {
		out = append(out, strings.Replace(name, n.fused, part, 1))
	}
	return out
}

// pieces are the tensors that a tensor of a file holds under their canonical
// names. A shape that cannot be cut stays whole, and fits nowhere.
func (n naming) pieces(i safetensors.Info) map[string]safetensors.Info {
	names := n.canonical(i.Name)
	out := map[string]safetensors.Info{}
	for k, name := range names {
		part := i
		if of := len(names); of > 1 && len(i.Shape) > 0 && i.Shape[0]%of == 0 {
			part.Shape = append([]int{i.Shape[0] / of}, i.Shape[1:]...)
			size := (i.End - i.Begin) / int64(of)
			part.Begin += int64(k) * size
			part.End = part.Begin + size
		}
		out[name] = part
	}
	return out
}
