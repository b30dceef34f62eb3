package vit

import "fmt"

// Timm is timm's VisionTransformer, whose switches are set one by one, under its
// names; query, key and value stand in one tensor of its files, as do gate and
// map of a gated feed-forward layer, and key and value of the pooling.
func Timm(a Arch, gated bool) Encoder {
	const p = "attn_pool."
	in := "mlp.fc1"
	if gated {
		in = "mlp.up"
	}
	n := Names{Cls: "cls_token", Dist: "dist_token", Registers: "reg_token", Positions: "pos_embed",
		Patch: "patch_embed.proj", Pre: "norm_pre", Final: "norm", Pooled: "fc_norm", Classifier: "head",
		Distilled: "head_dist",
		Block: func(l int) BlockNames {
			p := fmt.Sprintf("blocks.%d.", l)
			return BlockNames{Norm1: p + "norm1", Norm2: p + "norm2", Scale1: p + "ls1.gamma", Scale2: p + "ls2.gamma",
				QueryNorm: p + "attn.q_norm", KeyNorm: p + "attn.k_norm",
				Maps: maps(p, Query, "attn.query", Key, "attn.key", Value, "attn.value", AttnOut, "attn.proj",
					MLPGate, "mlp.gate", MLPIn, in, MLPOut, "mlp.fc2")}
		},
		Pool: PoolNames{Probe: p + "latent", Norm: p + "norm", Maps: maps(p, PoolQuery, "q", PoolKey, "key",
			PoolValue, "value", PoolOut, "proj", PoolMLPIn, "mlp.fc1", PoolMLPOut, "mlp.fc2")}}
	return Encoder{Arch: a, Names: n, Gated: gated, FinalNorm: true}
}
