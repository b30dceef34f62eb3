#!/usr/bin/env python3
"""Makes testdata/zoo: tiny models of random weights of each family and activation
function that flops reads, as transformers saves them, each with what PyTorch
answers to images that a formula gives, and gradients of its mean cross-entropy
where it has a classifier.

    .build/clients/bin/python scripts/make-zoo.py testdata/zoo

Needs torch and transformers (make clients installs both)."""
import json
import pathlib
import sys

import torch
import transformers
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, ViTConfig, ViTForImageClassification

SIZES = dict(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12, image_size=8, patch_size=4)
LABELS = {0: "ant", 1: "bee", 2: "cow"}


def images(count=2, channels=3, side=8):
    """x[b,c,i,j] = 1.2 sin(1 + 0.9b + 0.5c + 0.21i + 0.13j + 0.017ij)"""
    b, c, i, j = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (count, channels, side, side)), indexing="ij")
    return (1.2 * torch.sin(1 + 0.9 * b + 0.5 * c + 0.21 * i + 0.13 * j + 0.017 * i * j)).float()


def vit(act):
    return ViTForImageClassification(ViTConfig(**SIZES, hidden_act=act, id2label=LABELS, label2id={v: k for k, v in LABELS.items()}))


def clip():
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**SIZES, projection_dim=6))


MODELS = {
    "vit-gelu-new": lambda: vit("gelu_new"),
    "vit-quick-gelu": lambda: vit("quick_gelu"),
    "vit-silu": lambda: vit("silu"),
    "vit-relu": lambda: vit("relu"),
    "clip-vision-projection": clip,
}


def main(out):
    for name, make in MODELS.items():
        torch.manual_seed(1)
        net = make().eval()
        with torch.no_grad():
            for p in net.parameters():  # away from a fresh model's small numbers
                p.add_(0.3 * torch.randn_like(p))
        x, labels = images(), torch.tensor([0, 2])
        answer = net(x)
        reference = {"class": type(net).__name__, "made_with": f"transformers {transformers.__version__}, torch {torch.__version__}"}
        if hasattr(answer, "image_embeds"):
            reference["outputs"] = {"image_embeds": answer.image_embeds.tolist()}
        else:
            reference["outputs"] = {"logits": answer.logits.tolist()}
            loss = torch.nn.functional.cross_entropy(answer.logits, labels)
            loss.backward()
            reference |= {"labels": labels.tolist(), "loss": loss.item(), "grad_of_mean_cross_entropy": {
                n: {"norm": p.grad.norm().item(), "sum": p.grad.sum().item()} for n, p in net.named_parameters() if p.grad is not None}}
        folder = pathlib.Path(out) / name
        net.save_pretrained(folder)
        (folder / "reference.json").write_text(json.dumps(reference, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
