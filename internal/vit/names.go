package vit

import "fmt"

// Names are the parameters of an Encoder in the files of its family; those of maps
// and norms are without ".weight" and ".bias". What an encoder does not have may
// be empty.
type Names struct {
	Cls, Dist, Registers, Positions string
	Patch, Pre, Final, Pooled       string // the patches' map, and norms
	Pooler, Projection              string
	Classifier, Distilled           string // classifiers of the first row and of the second
	Relative                        string // the bias table that all blocks share

	Flat  bool // tokens are vectors, and positions a matrix
	Block func(l int) BlockNames
	Pool  PoolNames
}

// BlockNames are the parameters of one block.
type BlockNames struct {
	Norm1, Norm2       string
	Scale1, Scale2     string // vectors
	QueryNorm, KeyNorm string
	Relative           string // the block's own bias table
	Maps               map[string]string
}

// PoolNames are the parameters of attention pooling: the learned row that asks,
// the norm, and the maps by their kind.
type PoolNames struct {
	Probe, Norm string
	Maps        map[string]string
}

// namePrompts are the learned prompt tokens, in every family.
const namePrompts = "prompt.tokens"

// deepPrompts are those of a block but the first, which has namePrompts.
func deepPrompts(l int) string { return at(namePrompts, l) }

// maps are names under one prefix.
func maps(prefix string, kindAndName ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(kindAndName); i += 2 {
		m[kindAndName[i]] = prefix + kindAndName[i+1]
	}
	return m
}

// bertNames are the names that version 4 of transformers gives to the networks
// that follow its BERT: prefix is "vit.", "deit." and so on. The two scales and
// the bias table have names of their own in each family.
func bertNames(prefix string) Names {
	e := prefix + "embeddings."
	return Names{Cls: e + "cls_token", Dist: e + "distillation_token", Registers: e + "register_tokens",
		Positions: e + "position_embeddings", Patch: e + "patch_embeddings.projection", Final: prefix + "layernorm",
		Pooler: prefix + "pooler.dense", Classifier: Classifier,
		Block: func(l int) BlockNames {
			p := fmt.Sprintf("%sencoder.layer.%d.", prefix, l)
			return BlockNames{Norm1: p + "layernorm_before", Norm2: p + "layernorm_after",
				Maps: maps(p, Query, "attention.attention.query", Key, "attention.attention.key",
					Value, "attention.attention.value", AttnOut, "attention.output.dense", MLPIn, "intermediate.dense",
					MLPOut, "output.dense")}
		}}
}

// clipNames are those of transformers' CLIP and SigLIP. The spelling of the norm
// before the blocks is theirs.
func clipNames() Names {
	const p, e, h = "vision_model.", "vision_model.embeddings.", "vision_model.head."
	return Names{Flat: true, Cls: e + "class_embedding", Positions: e + "position_embedding.weight",
		Patch: e + "patch_embedding",
		Pre:   p + "pre_layrnorm", Final: p + "post_layernorm", Pooled: p + "post_layernorm", Projection: "visual_projection",
		Classifier: Classifier,
		Block: func(l int) BlockNames {
			p := fmt.Sprintf("%sencoder.layers.%d.", p, l)
			return BlockNames{Norm1: p + "layer_norm1", Norm2: p + "layer_norm2",
				Maps: maps(p, Query, "self_attn.q_proj", Key, "self_attn.k_proj", Value, "self_attn.v_proj",
					AttnOut, "self_attn.out_proj", MLPIn, "mlp.fc1", MLPOut, "mlp.fc2")}
		},
		Pool: PoolNames{Probe: h + "probe", Norm: h + "layernorm", Maps: maps(h, PoolQuery, "attention.query",
			PoolKey, "attention.key", PoolValue, "attention.value", PoolOut, "attention.out_proj", PoolMLPIn, "mlp.fc1",
			PoolMLPOut, "mlp.fc2")}}
}
