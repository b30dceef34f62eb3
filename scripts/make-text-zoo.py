#!/usr/bin/env python3
"""Makes testdata/texts: a tiny CLIPModel and SiglipModel of random weights with the
tokenizers of internal/tokenizer/testdata, as transformers saves them, each with what
PyTorch answers to images that a formula gives and to prompts, and gradients.

    .build/clients/bin/python scripts/make-text-zoo.py testdata/texts

Needs torch, transformers and sentencepiece (make clients installs them)."""
import json
import pathlib
import shutil
import sys

import torch
import transformers

TOKENIZERS = pathlib.Path(__file__).parent.parent / "internal/tokenizer/testdata"
SIZES = dict(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12)
PROMPTS = ["a photo of a cat.", "a photo of a dog.", "a drawing of the small red house beside 3 birds"]


def images(count=2, channels=3, side=8):
    """x[b,c,i,j] = 1.2 sin(1 + 0.9b + 0.5c + 0.21i + 0.13j + 0.017ij)"""
    b, c, i, j = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (count, channels, side, side)), indexing="ij")
    return (1.2 * torch.sin(1 + 0.9 * b + 0.5 * c + 0.21 * i + 0.13 * j + 0.017 * i * j)).float()


def clip(eos):
    tok = transformers.CLIPTokenizer.from_pretrained(TOKENIZERS / "clip")
    n = len(tok)
    text = dict(SIZES, vocab_size=n, max_position_embeddings=32, bos_token_id=n - 2, eos_token_id=eos or n - 1, pad_token_id=1)
    c = transformers.CLIPConfig(text_config=text, vision_config=dict(SIZES, image_size=8, patch_size=4), projection_dim=6)
    size = {"shortest_edge": 8}
    return transformers.CLIPModel(c), tok, transformers.CLIPImageProcessor(size=size, crop_size=8), 32


def siglip():
    tok = transformers.SiglipTokenizer.from_pretrained(TOKENIZERS / "siglip")
    text = dict(SIZES, vocab_size=tok.vocab_size, max_position_embeddings=24, projection_size=8, bos_token_id=0, eos_token_id=1, pad_token_id=1)
    c = transformers.SiglipConfig(text_config=text, vision_config=dict(SIZES, image_size=8, patch_size=4))
    return transformers.SiglipModel(c), tok, transformers.SiglipImageProcessor(size={"height": 8, "width": 8}), 24


MODELS = {"clip": lambda: clip(None), "clip-eos2": lambda: clip(2), "siglip": siglip}


def main(out):
    for name, make in MODELS.items():
        torch.manual_seed(1)
        net, tok, processor, length = make()
        net.eval()
        with torch.no_grad():
            for p in net.parameters():  # away from a fresh model's small numbers
                p.add_(0.3 * torch.randn_like(p) if p.dim() else 0)
        x, labels = images(), torch.tensor([0, 2])
        ids = tok(PROMPTS, padding="max_length", truncation=True, max_length=length, return_tensors="pt").input_ids
        answer = net(input_ids=ids, pixel_values=x)
        text, image = net.get_text_features(ids), net.get_image_features(x)
        text, image = (getattr(v, "pooler_output", v) for v in (text, image))
        loss = torch.nn.functional.cross_entropy(answer.logits_per_image, labels)
        loss.backward()
        reference = {"class": type(net).__name__, "made_with": f"transformers {transformers.__version__}, torch {torch.__version__}",
                     "prompts": PROMPTS, "input_ids": ids.tolist(), "labels": labels.tolist(), "loss": loss.item(),
                     "outputs": {"text_features": text.tolist(), "image_features": image.tolist(), "logits_per_image": answer.logits_per_image.tolist()},
                     "grad_norms": {k: p.grad.norm().item() for k, p in net.named_parameters() if p.grad is not None}}
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        net.save_pretrained(folder)
        processor.save_pretrained(folder)
        if name == "siglip":
            shutil.copy(TOKENIZERS / "siglip/spiece.model", folder)
        else:
            for f in ("vocab.json", "merges.txt", "tokenizer_config.json"):
                shutil.copy(TOKENIZERS / "clip" / f, folder)
        (folder / "reference.json").write_text(json.dumps(reference) + "\n")
        for f in folder.iterdir():
            f.chmod(0o644)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
