#!/usr/bin/env python3
"""Makes testdata/zoo: tiny models of random weights that have between them each
family, activation function and switch that flops reads, as transformers, timm and
open_clip save them, each with what PyTorch answers to images that a formula gives,
and gradients of its mean cross-entropy where it has a classifier.

    .build/clients/bin/python scripts/make-zoo.py testdata/zoo [NAME ...]

Needs torch, timm and transformers (make clients installs both)."""
import json
import pathlib
import sys

import timm
import torch
import transformers
from safetensors.torch import save_file
from transformers import (BeitConfig, BeitForImageClassification, CLIPConfig, CLIPForImageClassification, CLIPVisionConfig,
                          CLIPVisionModelWithProjection, DeiTConfig, DeiTForImageClassificationWithTeacher, Dinov2Config,
                          Dinov2ForImageClassification, Dinov2WithRegistersConfig, Dinov2WithRegistersModel, DINOv3ViTConfig,
                          DINOv3ViTModel, IJepaConfig, IJepaForImageClassification, SiglipConfig, SiglipForImageClassification,
                          SiglipVisionConfig, SiglipVisionModel, ViTConfig, ViTForImageClassification)

SIZES = dict(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12, image_size=8, patch_size=4)
NAMES = ["ant", "bee", "cow"]
LABELS = dict(id2label=dict(enumerate(NAMES)), label2id={v: k for k, v in enumerate(NAMES)})
OUTPUTS = ("logits", "image_embeds", "pooler_output", "last_hidden_state")


def images(count=2, channels=3, rows=8, columns=8):
    """x[b,c,i,j] = 1.2 sin(1 + 0.9b + 0.5c + 0.21i + 0.13j + 0.017ij)"""
    b, c, i, j = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (count, channels, rows, columns)), indexing="ij")
    return (1.2 * torch.sin(1 + 0.9 * b + 0.5 * c + 0.21 * i + 0.13 * j + 0.017 * i * j)).float()


def vit(act, **more):
    return ViTForImageClassification(ViTConfig(**SIZES | more, hidden_act=act, **LABELS))


def nested(config, **vision):
    """A config of both towers, the text's as small as it may be."""
    text = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=8, max_position_embeddings=4)
    return config(vision_config=SIZES | vision, text_config=text, **LABELS)


def plain_timm(architecture, **args):
    return timm.create_model(architecture, pretrained=False, num_classes=3, **dict(
        img_size=8, patch_size=4, embed_dim=8, depth=2, num_heads=2, mlp_ratio=1.5) | args), architecture, args


MODELS = {
    "vit-gelu-new": lambda: vit("gelu_new"),
    "vit-quick-gelu": lambda: vit("quick_gelu"),
    "vit-silu": lambda: vit("silu"),
    "vit-relu": lambda: vit("relu"),
    "vit-wide": lambda: vit("gelu", image_size=[8, 14]),
    "clip-vision-projection": lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**SIZES, projection_dim=6)),
    "clip-classifier": lambda: CLIPForImageClassification(nested(CLIPConfig)),
    "siglip-vision": lambda: SiglipVisionModel(SiglipVisionConfig(**SIZES)),
    "siglip-classifier": lambda: SiglipForImageClassification(nested(SiglipConfig)),
    "deit-teacher": lambda: DeiTForImageClassificationWithTeacher(DeiTConfig(**SIZES, **LABELS)),
    "ijepa": lambda: IJepaForImageClassification(IJepaConfig(**SIZES, **LABELS)),
    "dinov2-swiglu": lambda: Dinov2ForImageClassification(Dinov2Config(**SIZES, mlp_ratio=2, use_swiglu_ffn=True, **LABELS)),
    "dinov2-registers-model": lambda: Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**SIZES, mlp_ratio=2, num_register_tokens=2)),
    "dinov3-gated": lambda: DINOv3ViTModel(DINOv3ViTConfig(**SIZES, num_register_tokens=2, use_gated_mlp=True, hidden_act="silu")),
    "beit": lambda: BeitForImageClassification(BeitConfig(**SIZES, use_relative_position_bias=True, **LABELS)),
    "beit-cls": lambda: BeitForImageClassification(BeitConfig(**SIZES, use_shared_relative_position_bias=True, layer_scale_init_value=0.0,
                                                              use_mean_pooling=False, use_absolute_position_embeddings=True, **LABELS)),
    # Tables of relative positions of images that are not square, and no registers, of which the file has an empty tensor.
    "beit-wide": lambda: BeitForImageClassification(BeitConfig(**SIZES | dict(image_size=[8, 12]), use_relative_position_bias=True, **LABELS)),
    "dinov3": lambda: DINOv3ViTModel(DINOv3ViTConfig(**SIZES, num_register_tokens=0)),
    "timm-avg": lambda: plain_timm("vit_tiny_patch16_224", global_pool="avg", class_token=False, reg_tokens=2, qk_norm=True, qkv_bias=False),
    "timm-map": lambda: plain_timm("vit_base_patch16_siglip_224"),
    # Tokens before the patches, which pooling reads only where it is told to.
    "timm-map-lead": lambda: plain_timm("vit_base_patch16_siglip_224", class_token=True, reg_tokens=2, no_embed_class=True),
    "timm-map-swiglu": lambda: plain_timm("vit_giant_patch14_reg4_dinov2", global_pool="map", pool_include_prefix=True, mlp_ratio=3.0),
    "timm-avg-lead": lambda: plain_timm("vit_tiny_patch16_224", global_pool="avg", pool_include_prefix=True, reg_tokens=1),
    "timm-dist": lambda: plain_timm("deit_tiny_distilled_patch16_224"),
    "timm-swiglu": lambda: plain_timm("vit_giant_patch14_reg4_dinov2", mlp_ratio=3.0),
    "timm-clip": lambda: plain_timm("vit_base_patch16_clip_quickgelu_224", img_size=(8, 12)),
}

# The same network under open_clip's names; what is fused or turned round is below.
OPEN_CLIP = [("vision_model.embeddings.class_embedding", "class_embedding"), ("vision_model.embeddings.position_embedding.weight", "positional_embedding"),
             ("vision_model.embeddings.patch_embedding", "conv1"), ("vision_model.pre_layrnorm", "ln_pre"), ("vision_model.post_layernorm", "ln_post"),
             ("vision_model.encoder.layers", "transformer.resblocks"), ("self_attn.out_proj", "attn.out_proj"), ("layer_norm", "ln_"),
             ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj")]


def answer(net, x):
    """The outputs by name, and the reference's gradients where there are logits."""
    y = net(x)
    if torch.is_tensor(y):
        y = {"logits": y}
    reference = {"input": {"shape": list(x.shape)}, "outputs": {k: round6(y[k].tolist()) for k in OUTPUTS if k in y and y[k] is not None}}
    if "logits" not in y:
        return reference
    labels = torch.tensor([0, 2])
    loss = torch.nn.functional.cross_entropy(y["logits"], labels)
    loss.backward()
    return reference | {"labels": labels.tolist(), "loss": loss.item(), "grad_of_mean_cross_entropy": {
        n: {"norm": p.grad.norm().item(), "sum": p.grad.sum().item()} for n, p in net.named_parameters()
        if p.grad is not None and (x.shape[2] == x.shape[3] or "relative" not in n)}}  # which is not read as it is stored, and not trained


def round6(v):
    return [round6(x) for x in v] if isinstance(v, list) else float(f"{v:.6g}")


def write_timm(folder, net, architecture, args):
    """The folder that timm's push_to_hf_hub writes."""
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, folder / "model.safetensors")
    size = args.get("img_size", 8)
    size = list(size) if isinstance(size, tuple) else [size, size]
    cfg = {k: v for k, v in net.pretrained_cfg.items() if k in ("crop_pct", "crop_mode", "interpolation", "mean", "std", "first_conv", "classifier")}
    model_args = dict(img_size=size, patch_size=4, embed_dim=8, depth=2, num_heads=2, mlp_ratio=1.5, num_classes=3) | args | {"img_size": size}
    config = {"architecture": architecture, "num_classes": 3, "num_features": net.num_features, "global_pool": net.global_pool, "label_names": NAMES,
              "model_args": model_args, "pretrained_cfg": cfg | {"input_size": [3, *size], "num_classes": 3}}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def write_open_clip(folder, net):
    """A tower of transformers' CLIP as open_clip has it, with a text tower's tensor beside it."""
    state, out = net.state_dict(), {"logit_scale": torch.tensor(2.6592), "text_projection": torch.ones(2, 6)}
    for came, v in state.items():
        name = came
        for a, b in OPEN_CLIP:
            name = name.replace(a, b)
        if name == "visual_projection.weight":
            out["visual.proj"] = v.T.contiguous()
        elif ".q_proj." in name:
            qkv = [state[came.replace(".q_proj.", f".{k}_proj.")] for k in "qkv"]
            out["visual." + name.replace("self_attn.q_proj.", "attn.in_proj_")] = torch.cat(qkv)
        elif ".k_proj." not in name and ".v_proj." not in name:
            out["visual." + name] = v
    save_file(out, folder / "open_clip_model.safetensors")
    config = {"model_cfg": {"embed_dim": 6, "quick_gelu": True, "vision_cfg": {"image_size": 8, "layers": 2, "width": 8, "head_width": 4, "patch_size": 4,
                                                                             "mlp_ratio": 1.5}},
              "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")


def main(out, *only):
    for name, make in (MODELS | {"open-clip": MODELS["clip-vision-projection"]}).items():
        if only and name not in only:
            continue
        torch.manual_seed(1)
        net, *how = made if isinstance(made := make(), tuple) else (made,)
        net = net.eval()
        with torch.no_grad():
            for p in net.parameters():  # away from a fresh model's small numbers
                p.add_(0.3 * torch.randn_like(p))
        size = getattr(getattr(net, "patch_embed", None), "img_size", None) or getattr(getattr(net.config, "vision_config", net.config), "image_size", 8)
        rows, columns = size if isinstance(size, (list, tuple)) else (size, size)
        reference = {"class": type(net).__name__, "made_with": f"transformers {transformers.__version__}, timm {timm.__version__}, torch {torch.__version__}"}
        reference |= answer(net, images(rows=rows, columns=columns))
        folder = pathlib.Path(out) / name
        folder.mkdir(parents=True, exist_ok=True)
        if how:
            write_timm(folder, net, *how)
        elif name == "open-clip":
            write_open_clip(folder, net)
        else:
            net.save_pretrained(folder)
        (folder / "reference.json").write_text(json.dumps(reference) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
