"""transformers loads what flops exports, and both give the same logits."""
import json

import torch
import transformers
from PIL import Image
from transformers import (AutoImageProcessor, AutoModelForImageClassification,
                          CLIPVisionModelWithProjection, pipeline)

from common import close, ensure, flops, model, pictures, predict, REPO, WORK

transformers.logging.set_verbosity_error()
worst = {"f32": 0.0, "bf16": 0.0, "f16": 0.0}
for dtype in worst:
    folder = model() if dtype == "f32" else WORK / f"model-{dtype}"
    if dtype != "f32":
        flops("model", "export", "model", folder, "--dtype", dtype)
    net, info = AutoModelForImageClassification.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        ensure(not info[key], f"{folder}: {key} {info[key]}")
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    files = [p for p in pictures() if min(Image.open(p).size) > 3]  # smaller ones: the library guesses their channels
    for path, got in zip(files, predict(folder, *files)):
        with torch.no_grad():
            want = net(**processor(Image.open(path).convert("RGB"), return_tensors="pt")).logits[0]
        worst[dtype] = max(worst[dtype], close(got, want, 0.02, f"{folder.name} {path.name}"))

labels = json.loads((model() / "config.json").read_text())["id2label"]
answer = pipeline("image-classification", model=str(model()))(str(files[0]), top_k=1)[0]
top = json.loads(flops("predict", "--json", "--model", "model", files[0]))
ensure(answer["label"] == labels[str(max(range(3), key=lambda i: top["logits"][i]))], f"pipeline says {answer}")
# A tower of CLIP goes through flops and comes out as it was.
source = REPO / "testdata" / "zoo" / "clip-vision-projection"
flops("model", "export", source, WORK / "clip-out")
before = CLIPVisionModelWithProjection.from_pretrained(source).state_dict()
tower, info = CLIPVisionModelWithProjection.from_pretrained(WORK / "clip-out", output_loading_info=True, dtype=torch.float32)
ensure(not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")), f"CLIP: {info}")
ensure(all(torch.equal(v, before[k]) for k, v in tower.state_dict().items()), "CLIP: tensors changed")

print(f"transformers {transformers.__version__}: {len(files)} pictures, logits within {worst['f32']:.1e} "
      f"(bf16 file {worst['bf16']:.1e}, f16 {worst['f16']:.1e}); no key missing")
