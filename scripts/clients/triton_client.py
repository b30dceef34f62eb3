"""Triton's client talks to flops serve: binary and JSON tensors, packed requests,
versions, 1 to 300 images, and what is refused."""
import json

import numpy as np
import tritonclient
import tritonclient.http as http
from PIL import Image
from tritonclient.utils import InferenceServerException

from common import Served, close, ensure, model, pictures, predict

SIZE = 32
with Served(model()) as s:
    c = http.InferenceServerClient(s.url.removeprefix("http://"))
    ensure(c.is_server_live() and c.is_server_ready(), "not live and ready")
    ensure(c.is_model_ready("vit") and c.is_model_ready("vit", "1"), "the model is not ready")
    meta = c.get_model_metadata("vit", model_version="1")
    told = meta["inputs"][0]["parameters"]
    ensure(told["layout"] == "NCHW" and meta["outputs"][0]["parameters"]["labels"] == ["ant", "bee", "cow"], f"metadata {meta}")
    mean, std = np.array(told["mean"], np.float32), np.array(told["std"], np.float32)

    def infer(x, binary=True, outputs=None, **more):
        i = http.InferInput("pixel_values", list(x.shape), "FP32")
        i.set_data_from_numpy(x, binary_data=binary)
        o = outputs or [http.InferRequestedOutput("logits", binary_data=binary)]
        return c.infer("vit", [i], outputs=o, **more).as_numpy("logits")

    files = [p for p in pictures() if Image.open(p).size == (SIZE, SIZE)]
    pixels = np.stack([(np.asarray(Image.open(p).convert("RGB"), np.float32) / 255 - mean) / std for p in files])
    x = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    want = np.array(predict("model", *files), np.float32)
    worst = 0.0
    for binary in (True, False):
        for packing in (None, "gzip", "deflate"):
            got = infer(x, binary, request_compression_algorithm=packing, model_version="1")
            worst = max(worst, close(got.ravel(), want.ravel(), 0.02, f"binary {binary}, {packing}"))
    many = infer(np.repeat(x[:1], 300, axis=0))
    ensure(many.shape == (300, 3) and np.allclose(many, many[0], atol=1e-6), f"300 images: {many.shape}")
    for what, call in {
        "class_count": lambda: infer(x, outputs=[http.InferRequestedOutput("logits", class_count=2)]),
        "version 7": lambda: infer(x, model_version="7"),
        "another shape": lambda: infer(x[:, :, :16]),
        "NaN": lambda: infer(x * np.float32("nan")),
    }.items():
        try:
            call()
        except InferenceServerException as e:
            ensure(e.status() in ("400", "404"), f"{what}: status {e.status()}")
        else:
            ensure(False, f"{what} was answered")
print(f"tritonclient {tritonclient.__version__ if hasattr(tritonclient, '__version__') else '2.73'}: "
      f"JSON, binary, gzip, deflate, versions; logits within {worst:.1e} of predict; 4 wrong requests refused")
