package vit

import "fmt"

// OpenCLIP is the vision tower of an open_clip model (Cherti et al. 2022, arXiv
// 2212.07143): CLIP's under other names, with the projection stored the other way
// round.
func OpenCLIP(a Arch, projected int) Encoder {
	e := CLIPVision{Arch: a, Projected: projected}.encoder()
	const p = "visual."
	e.Names = Names{Flat: true, Cls: p + "class_embedding", Positions: p + "positional_embedding", Patch: p + "conv1",
		Pre: p + "ln_pre", Pooled: p + "ln_post", Projection: p + "proj", Classifier: Classifier,
		Block: func(l int) BlockNames {
			p := fmt.Sprintf("%stransformer.resblocks.%d.", p, l)
			return BlockNames{Norm1: p + "ln_1", Norm2: p + "ln_2", Scale1: p + "ls_1.gamma", Scale2: p + "ls_2.gamma",
				Maps: maps(p, Query, "attn.query", Key, "attn.key", Value, "attn.value", AttnOut, "attn.out_proj",
					MLPIn, "mlp.c_fc", MLPOut, "mlp.c_proj")}
		}}
	return e
}
