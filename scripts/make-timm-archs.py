#!/usr/bin/env python3
"""Makes internal/hf/timm_archs.json: of every architecture of timm that is its
plain VisionTransformer, what a folder of it says nowhere but in that name.

    .build/clients/bin/python scripts/make-timm-archs.py internal/hf/timm_archs.json

Needs torch and timm (make clients installs both)."""
import json
import sys

import timm
import torch
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import Block, VisionTransformer

ACTS = {"GELU": "gelu", "QuickGELU": "quick_gelu", "GELUTanh": "gelu_pytorch_tanh", "SiLU": "silu", "ReLU": "relu"}


def main(out):
    found = {}
    for name in timm.list_models():
        if timm.models.model_entrypoint(name).__module__ not in ("timm.models.vision_transformer", "timm.models.deit", "timm.models.beit"):
            continue
        with torch.device("meta"):
            try:
                m = timm.create_model(name, pretrained=False)
            except Exception as e:  # one that cannot be made without memory
                print(name, e, file=sys.stderr)
                continue
        if type(m) not in (VisionTransformer, VisionTransformerDistilled) or type(m.blocks[0]) is not Block:
            continue
        b = m.blocks[0]
        act = ACTS.get(type(b.mlp.act).__name__)
        if type(b.mlp).__name__ not in ("Mlp", "GluMlp", "SwiGLU") or act is None:
            continue
        if type(b.attn).__name__ != "Attention" or type(b.norm1).__name__ != "LayerNorm" or type(m.patch_embed).__name__ != "PatchEmbed":
            continue
        if {k.split(".")[-2] for k, _ in b.named_parameters() if ".norm." in k}:  # norms inside of attention or mlp
            continue
        found[name] = {"heads": b.attn.num_heads, "act": act, "eps": b.norm1.eps, "image": m.patch_embed.img_size[0], "pool": m.global_pool}
        if m.pool_include_prefix:
            found[name]["lead"] = True
    with open(out, "w") as f:
        f.write("{\n" + ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(found.items())) + "\n}\n")
    print(len(found), "architectures")


if __name__ == "__main__":
    main(sys.argv[1])
