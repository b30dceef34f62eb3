#!/usr/bin/env python3
"""Writes what transformers makes of awkward images, for the tests of our preprocessing.

    python3 -m venv v && v/bin/pip install transformers==5.24.0 pillow==11.3.0 numpy
    v/bin/python scripts/make-preprocess-vectors.py > internal/network/testdata/preprocess.json

The classes are those of the Pillow backend, which computes in 8 bits up to the
normalisation (Pillow from 13 on may resize columns before rows, which changes some
pixels by a level). Of every result there are the mean, the mean under weights that
differ from value to value, and a few values. The images are a formula, which the
test has too; one config a line, so that a change shows.
"""
import json

import numpy as np
from PIL import Image
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

CLASSES = {"ViT": ViTImageProcessorPil, "DeiT": DeiTImageProcessorPil, "CLIP": CLIPImageProcessorPil, "Bit": BitImageProcessorPil,
           "Siglip": SiglipImageProcessorPil}
SIZES = [(1, 1), (1, 40), (3, 100), (100, 3), (33, 31), (31, 33), (32, 32), (40, 40), (16, 16), (224, 225), (500, 333), (333, 500), (41, 29)]
SMALL = [(1, 1), (33, 31), (32, 32), (500, 333)]
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
SQUARE = {"height": 32, "width": 32}
EDGE = {"size": {"shortest_edge": 32}, "crop_size": SQUARE}


def processor(kind, **keys):
    return {"image_processor_type": kind + "ImageProcessor", **keys}


def former(kind, **keys):
    return {"feature_extractor_type": kind + "FeatureExtractor", **keys}


CONFIGS = [
    # config, image_size, sizes of images
    (processor("ViT"), 224, SMALL),
    (processor("DeiT"), 224, SMALL),
    (processor("CLIP"), 224, SMALL),
    (processor("Bit"), 224, SMALL),
    (processor("Siglip"), 224, SMALL),
    ({}, 224, SMALL),
    (former("ViT", size=32, resample=2, do_normalize=True, do_resize=True), 32, SIZES),
    (former("DeiT", size=40, crop_size=32, resample=3, do_center_crop=True, **IMAGENET), 32, SIZES),
    (former("CLIP", size=32, crop_size=32, do_center_crop=True), 32, SIZES),
    (processor("ViT", size=[32, 32], **IMAGENET), 32, SIZES),
    (processor("ViT", size=SQUARE, rescale_factor=1 / 127.5), 32, SMALL),
    (processor("ViT", size=SQUARE, do_rescale=False, **IMAGENET), 32, SMALL),
    (processor("ViT", size=SQUARE, do_rescale=False, do_normalize=False), 32, SMALL),
    (processor("ViT", size=SQUARE, do_normalize=False), 32, SMALL),
    (processor("ViT", size=SQUARE, image_mean=0.25, image_std=2), 32, SMALL),
    (processor("ViT", size=SQUARE, do_rescale=None, do_center_crop=None, crop_size=None), 32, SMALL),
    (processor("ViT", size={"shortest_edge": 36}, do_center_crop=True, crop_size=SQUARE), 32, SIZES),
    *[(processor("ViT", size=SQUARE, resample=r), 32, SIZES) for r in range(6)],
    *[(processor("CLIP", size={"shortest_edge": 37}, crop_size=32, resample=r), 32, SIZES) for r in range(6)],
    (processor("DeiT", size={"height": 40, "width": 47}, crop_size=SQUARE), 32, SIZES),
    (processor("DeiT", size={"height": 41, "width": 41}, crop_size=32, do_resize=False), 32, SIZES),
    (processor("DeiT", size=SQUARE, do_center_crop=False), 32, SMALL),
    (processor("DeiT", size={"height": 21, "width": 36}, crop_size=32), 32, SIZES),
    (processor("CLIP", size={"shortest_edge": 40}, crop_size=SQUARE, resample=2), 32, SIZES),
    (processor("CLIP", size={"shortest_edge": 20}, crop_size=32), 32, SIZES),
    (processor("CLIP", size={"shortest_edge": 19, "longest_edge": 27}, crop_size=32), 32, SIZES),
    (processor("CLIP", size={"shortest_edge": 48, "longest_edge": 60}, crop_size=32), 32, SIZES),
    (processor("CLIP", size={"height": 50, "width": 33}, crop_size=32), 32, SIZES),
    (processor("CLIP", size=36, crop_size=32, do_convert_rgb=True), 32, SIZES),
    (processor("Bit", size={"shortest_edge": 35}, crop_size=32, **IMAGENET), 32, SIZES),
    (processor("Siglip", size=SQUARE), 32, SIZES),
]


def scene(w, h):
    y, x = np.mgrid[0:h, 0:w]
    return np.stack([x * 37 + y * 91 + x * y * 13, x * x * 7 + y * 29, x * 5 + y * y * 11 + 97], -1).astype(np.uint8)


def result(config, w, h):
    keys = {k: v for k, v in config.items() if k not in ("image_processor_type", "feature_extractor_type")}
    kind = (config.get("image_processor_type") or config.get("feature_extractor_type") or "ViTImageProcessor")
    kind = kind.replace("ImageProcessor", "").replace("FeatureExtractor", "")
    p = CLASSES[kind](**keys)
    v = np.asarray(p(Image.fromarray(scene(w, h)))["pixel_values"][0], np.float64)
    flat = v.ravel()
    weights = np.arange(flat.size) * 2654435761 % 1009 / 1009
    at = [int(flat.size * k // 7) for k in range(7)]
    return {"image": [w, h], "shape": list(v.shape), "mean": flat.mean(), "weighted": (flat * weights).mean(),
            "at": at, "values": [float(np.float32(flat[i])) for i in at]}


def main():
    lines = []
    for config, size, sizes in CONFIGS:
        entry = {"config": config, "image_size": size, "results": [result(config, w, h) for w, h in sizes]}
        assert all(r["shape"] == [3, size, size] for r in entry["results"]), config
        for r in entry["results"]:
            del r["shape"]
        lines.append(json.dumps(entry))
    print("[\n" + ",\n".join(lines) + "\n]")


if __name__ == "__main__":
    main()
