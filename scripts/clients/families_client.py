"""Every model of the zoo that is read goes through flops, as it is and after a step
of training, and loads in transformers and timm with no key missing, unexpected or
mismatched; what was not trained is as it came, and the outputs are the same."""
import json
import os
import pathlib

import onnx
import onnxruntime
import timm
import torch
import transformers
from safetensors.torch import load_file

from common import WORK, class_folders, close, ensure, flops, REPO

transformers.logging.set_verbosity_error()
KEYS = ("missing_keys", "unexpected_keys", "mismatched_keys")
TRAIN = """
name: step
model: {{path: {model}}}
data: {{kind: folder, path: photos}}
estimator: {{name: bp}}
sites: {{blocks: last-1}}
optimizer: {{lr: 1e-3}}
train: {{steps: 1, batch_size: 4, eval_every: 0, seed: 3}}
"""


def images(shape):
    b, c, i, j = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
    return (1.2 * torch.sin(1 + 0.9 * b + 0.5 * c + 0.21 * i + 0.13 * j + 0.017 * i * j)).float()


def tensors(folder):
    out = {}
    for f in folder.glob("*.safetensors"):
        out |= load_file(f)
    return {k.removeprefix("vision_model."): v for k, v in out.items()}  # which version 5 leaves out and 4 has


def load(folder, name, source=None):
    """The model in the library that its folder is of; None where it is neither's. A
    key that the source has too many it may have as well."""
    config = folder / "config.json"
    if not config.exists():
        return None
    config = json.loads(config.read_text())
    if "architecture" in config:
        args = {k: tuple(v) if isinstance(v, list) else v for k, v in config.get("model_args", {}).items() if k != "num_classes"}
        net = timm.create_model(config["architecture"], pretrained=False, num_classes=config["num_classes"], **args)
        net.load_state_dict(load_file(folder / "model.safetensors"))  # strict
        return net.eval()
    if config["model_type"] == "vit_mae":
        name = "ViTMAEModel"  # the library does not read its own decoder back
    more = {"add_pooling_layer": False} if name == "ViTModel" and not any("pooler" in k for k in tensors(folder)) else {}
    net, info = getattr(transformers, name).from_pretrained(folder, output_loading_info=True, dtype=torch.float32, **more)
    bad = {k: [x for x in info[k] if not (name == "ViTMAEModel" and x.startswith("decoder"))] for k in KEYS}
    if any(bad.values()) and source is not None:
        _, was = getattr(transformers, name).from_pretrained(source, output_loading_info=True, **more)
        bad = {k: set(v) - set(was[k]) for k, v in bad.items()}
    ensure(not any(bad.values()), f"{folder}: {bad}")
    return net.eval()


def outputs(net, x):
    with torch.no_grad():
        y = net.get_image_features(x) if hasattr(net, "get_image_features") else net(x)
    return {"logits": y} if torch.is_tensor(y) else y


def runs(folder, n, ref):
    """The file of ONNX answers one image and two as the reference does."""
    file = WORK / f"family-{n}.onnx"
    flops("model", "export", folder, file)
    onnx.checker.check_model(str(file))
    session = onnxruntime.InferenceSession(str(file))
    ensure("preprocessor_config" in session.get_modelmeta().custom_metadata_map, f"{file}: no preprocessing in the metadata")
    x = images(ref.get("input", {}).get("shape", [2, 3, 8, 8])).numpy()
    want = next((ref["outputs"][k] for k in ("logits", "image_embeds", "image_features", "pooler_output") if k in ref["outputs"]), None)
    if want is None:
        return 0
    want = torch.tensor(want)
    for images_at_once in (1, 2):
        got = session.run(None, {"pixel_values": x[:images_at_once]})[0]
        close(got.ravel(), want[:images_at_once].ravel(), 1e-4 * want.abs().max(), f"{folder} in ONNX Runtime")
    return 1


shared = pathlib.Path(os.environ.get("FLOPS_SHARED", REPO.parent / "shared"))
folders = [r.parent for root in (REPO / "testdata/zoo", shared / "models/zoo") for r in sorted(root.glob("*/reference.json"))]
folders = [f for f in folders if list(f.glob("*.safetensors"))]
class_folders()
worst, loaded, trained, answered = 0.0, 0, 0, 0
for n, folder in enumerate(folders):
    ref = json.loads((folder / "reference.json").read_text())
    out = WORK / f"family-{n}"
    flops("model", "export", folder, out)
    before, after = tensors(folder), tensors(out)
    same = {k: v.float() for k, v in before.items()}
    names5 = folder.name.endswith("names5") or ref["class"].startswith("ViTMSN")
    ensure(names5 or before.keys() == after.keys(), f"{folder}: {sorted(before.keys() ^ after.keys())}")
    ensure(names5 or all(torch.equal(v.float(), same[k]) for k, v in after.items()), f"{folder}: tensors changed")
    net = load(out, ref["class"], folder)
    loaded += net is not None
    if net is not None and "outputs" in ref and "MAE" not in type(net).__name__:  # which masks at random
        shape = ref.get("input", {}).get("shape", [2, 3, 8, 8])
        got = outputs(net, images(shape))
        for key, want in ref["outputs"].items():
            if isinstance(want, list) and key in getattr(got, "keys", dict)():
                a, b = got[key].flatten().tolist(), torch.tensor(want).flatten().tolist()
                worst = max(worst, close(a, b, 1e-3 * max(1, max(map(abs, b))), f"{folder} {key}"))
    answered += runs(folder, n, ref)
    config = WORK / "step.yaml"
    config.write_text(TRAIN.format(model=folder))
    if "gray" in folder.name:
        continue
    flops("train", "--config", config, "--output", WORK / f"step-{n}")
    end = WORK / f"step-{n}" / "checkpoints" / "step-1"
    written = tensors(end)
    written.pop("optimizer", None)
    names = json.loads((end / "config.json").read_text())["architectures"][0] if (end / "config.json").exists() and \
        "architectures" in json.loads((end / "config.json").read_text()) else ref["class"]
    if "classifier.weight" in written and not names.endswith("ForImageClassification") and "Teacher" not in names:
        continue  # a classifier of ours behind a tower that the library has none for
    if load(end, names, folder) is not None:
        trained += 1
print(f"families: {len(folders)} folders through flops, {loaded} loaded in transformers {transformers.__version__} or timm {timm.__version__} "
      f"(outputs within {worst:.1e}), {trained} after a step of training; {answered} alike in ONNX Runtime {onnxruntime.__version__}")
