"""A model behind MLServer is called as one behind flops serve: the same run, the
same losses. Needs the environment of requirements-mlserver.txt as MLSERVER."""
import json
import os
import subprocess

from common import Served, close, ensure, flops, free_port, model, wait_for, WORK

RUNTIME = '''
import urllib.request, json, os
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Behind(MLModel):
    """Passes images on to the model that it is told of."""

    async def load(self):
        return True

    async def predict(self, payload):
        x = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        doc = {"inputs": [{"name": "pixel_values", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}]}
        r = urllib.request.Request(os.environ["BEHIND"], json.dumps(doc).encode(), {"Content-Type": "application/json"})
        out = json.load(urllib.request.urlopen(r))["outputs"][0]
        y = np.array(out["data"], np.float32).reshape(out["shape"])
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("logits", y)])
'''
SETTINGS = {"name": "behind", "implementation": "runtime.Behind", "parallel_workers": 0}
TENSORS = {
    "inputs": [{"name": "pixel_values", "datatype": "FP32", "shape": [-1, 3, 32, 32],
                "parameters": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}],
    "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 3]}],
}
PROMPT = """
model: {kind: remote, name: vit, retries: 2, timeout: 20s}
data: {kind: folder, path: photos}
prompt: {kind: frame, width: 2, mapping: {kind: identity}}
sites: {blocks: none, classifier: false}
estimator: {name: weight, sigma: 0.05}
allocator: {name: uniform, min_queries: 2, features: loss}
budget: {queries_per_image: 4}
train: {steps: 3, batch_size: 8}
"""


def losses(run, url, name, *more):
    flops("train", "--config", "prompt.yaml", "--output", run, "--set", f"model.url={url}", "--set", f"model.name={name}", *more)
    return [json.loads(line)["loss"] for line in (WORK / run / "metrics.jsonl").read_text().splitlines()]


(WORK / "prompt.yaml").write_text(PROMPT)
with Served(model()) as s:
    want = losses("ours", s.url, "vit")
    worst = 0.0
    for declared in (True, False):
        folder, port, other, metrics = WORK / f"mlserver-{declared}", free_port(), free_port(), free_port()
        folder.mkdir(exist_ok=True)
        (folder / "runtime.py").write_text(RUNTIME)
        (folder / "settings.json").write_text(json.dumps({"http_port": port, "grpc_port": other, "metrics_port": metrics, "host": "127.0.0.1",
                                                          "parallel_workers": 0, "debug": False}))
        (folder / "model-settings.json").write_text(json.dumps(SETTINGS | (TENSORS if declared else {})))
        p = subprocess.Popen([os.path.join(os.environ["MLSERVER"], "bin", "mlserver"), "start", "."], cwd=folder,
                             env=dict(os.environ, BEHIND=s.url + "/v2/models/vit/infer", PYTHONPATH=str(folder)),
                             stdout=subprocess.DEVNULL, stderr=(folder / "log").open("w"))
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url + "/v2/models/behind/ready", process=p)
            more = []
            if not declared:
                said = flops("train", "--config", "prompt.yaml", "--output", "refused", "--set", f"model.url={url}",
                             "--set", "model.name=behind", status=2)
                ensure("model-settings.json" in said and "model.shape" in said, said)
                more = ["--set", "model.shape=[3, 32, 32]", "--set", "model.arch.classes=3",
                        "--set", "data.mean=[0.485, 0.456, 0.406]", "--set", "data.std=[0.229, 0.224, 0.225]"]
            worst = max(worst, close(losses(f"theirs-{declared}", url, "behind", *more), want, 1e-5, "losses"))
        finally:
            p.terminate()
            p.wait(timeout=30)
print(f"mlserver: a run of 3 steps, tensors declared and not, losses within {worst:.1e} of flops serve's")
