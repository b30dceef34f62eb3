package vit

import "fmt"

// DINOv2 is that of Oquab et al. 2023 (arXiv 2304.07193): each branch is scaled by
// a vector, the feed-forward layer may be gated (SwiGLU, Shazeer 2020, arXiv
// 2002.05202), and a classifier reads the cls row beside the mean of the patches.
// registers are tokens without a position (Darcet et al. 2023, arXiv 2309.16588);
// transformers has them under another prefix.
func DINOv2(a Arch, registers int, gated bool) Encoder {
	prefix := "dinov2."
	if registers > 0 {
		prefix = "dinov2_with_registers."
	}
	return dinov2(a, prefix, registers, gated)
}

// DINOv2WithRegisters is DINOv2 under the names of transformers' class with
// registers, of which there may be none.
func DINOv2WithRegisters(a Arch, registers int, gated bool) Encoder {
	return dinov2(a, "dinov2_with_registers.", registers, gated)
}

func dinov2(a Arch, prefix string, registers int, gated bool) Encoder {
	e := Encoder{Arch: a, Names: bertNames(prefix), Registers: registers, Positions: PositionsLead, Scaled: true,
		Gated: gated, FinalNorm: true, Pool: PoolBoth}
	base := e.Names.Block
	e.Names.Block = func(l int) BlockNames {
		n, p := base(l), fmt.Sprintf("%sencoder.layer.%d.", prefix, l)
		n.Norm1, n.Norm2 = p+"norm1", p+"norm2"
		n.Scale1, n.Scale2 = p+"layer_scale1.lambda1", p+"layer_scale2.lambda1"
		n.Maps[MLPIn], n.Maps[MLPOut] = p+"mlp.fc1", p+"mlp.fc2"
		if gated { // fused in the files of version 4: weights_in
			n.Maps[MLPGate], n.Maps[MLPIn], n.Maps[MLPOut] = p+"mlp.gate_proj", p+"mlp.up_proj", p+"mlp.weights_out"
		}
		return n
	}
	return e
}

// DINOv3 is that of Siméoni et al. 2025 (arXiv 2508.10104): positions are turns of
// queries and keys in every block (Su et al. 2021, arXiv 2104.09864), in two
// dimensions.
func DINOv3(a Arch, registers int, gated bool) Encoder {
	n := Names{Cls: "embeddings.cls_token", Registers: "embeddings.register_tokens", Patch: "embeddings.patch_embeddings",
		Final: "norm", Classifier: Classifier,
		Block: func(l int) BlockNames {
			p := fmt.Sprintf("layer.%d.", l)
			b := BlockNames{Norm1: p + "norm1", Norm2: p + "norm2", Scale1: p + "layer_scale1.lambda1",
				Scale2: p + "layer_scale2.lambda1",
				Maps: maps(p, Query, "attention.q_proj", Key, "attention.k_proj", Value, "attention.v_proj",
					AttnOut, "attention.o_proj", MLPIn, "mlp.up_proj", MLPOut, "mlp.down_proj")}
			if gated {
				b.Maps[MLPGate] = p + "mlp.gate_proj"
			}
			return b
		}}
	return Encoder{Arch: a, Names: n, Registers: registers, Positions: PositionsNone, Rope: 100, Scaled: true,
		Gated:     gated,
		FinalNorm: true}
}
