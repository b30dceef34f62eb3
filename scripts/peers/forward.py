"""Times the forward of a ViT on the CPU in another engine, for scripts/bench.sh.

usage: forward.py ENGINE PRECISION [--dim 128 --depth 6 ...]
ENGINE: torch, compiled (torch.compile), onnxruntime, openvino    PRECISION: fp32, bf16
The shapes are those of `flops bench`. ONNX Runtime and OpenVINO take the network that
--onnx names (flops model export); OpenVINO converts one of PyTorch's without it. Prints
one JSON line: images per second by the median of --steps batches after two that are not
counted, of the better of one stream over all threads and one of each thread, where the
engine knows streams.
"""
import argparse, json, os, resource, statistics, time

p = argparse.ArgumentParser()
p.add_argument("engine")
p.add_argument("precision")
for key, usual in dict(dim=128, depth=6, heads=4, mlp=512, image=32, patch=4, classes=5, batch=64, threads=2, steps=5).items():
    p.add_argument("--" + key, type=int, default=usual)
p.add_argument("--onnx", default="")
a = p.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)


def network():
    """The ViT of `flops bench` as a PyTorch module."""
    import torch
    from torch import nn
    import torch.nn.functional as F

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.n1, self.n2 = nn.LayerNorm(a.dim, 1e-12), nn.LayerNorm(a.dim, 1e-12)
            self.q, self.k, self.v, self.o = (nn.Linear(a.dim, a.dim) for _ in range(4))
            self.up, self.down = nn.Linear(a.dim, a.mlp), nn.Linear(a.mlp, a.dim)

        def forward(self, h):
            b, t, d = h.shape
            x = self.n1(h)
            heads = lambda y: y.view(b, t, a.heads, d // a.heads).transpose(1, 2)
            y = F.scaled_dot_product_attention(heads(self.q(x)), heads(self.k(x)), heads(self.v(x)))
            h = h + self.o(y.transpose(1, 2).reshape(b, t, d))
            return h + self.down(F.gelu(self.up(self.n2(h))))

    class ViT(nn.Module):
        def __init__(self):
            super().__init__()
            n = (a.image // a.patch) ** 2
            self.cut = nn.Conv2d(3, a.dim, a.patch, a.patch)
            self.cls = nn.Parameter(torch.randn(1, 1, a.dim) * 0.02)
            self.places = nn.Parameter(torch.randn(1, n + 1, a.dim) * 0.02)
            self.blocks = nn.ModuleList(Block() for _ in range(a.depth))
            self.norm, self.head = nn.LayerNorm(a.dim, 1e-12), nn.Linear(a.dim, a.classes)

        def forward(self, x):
            h = self.cut(x).flatten(2).transpose(1, 2)
            h = torch.cat([self.cls.expand(h.shape[0], -1, -1), h], 1) + self.places
            for b in self.blocks:
                h = b(h)
            return self.head(self.norm(h[:, 0]))

    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    return ViT().eval()


def seconds(f):
    for _ in range(2):
        f()
    out = []
    for _ in range(a.steps):
        began = time.perf_counter()
        f()
        out.append(time.perf_counter() - began)
    return statistics.median(out)


def torch_rate():
    import torch
    m, x = network(), torch.randn(a.batch, 3, a.image, a.image)
    if a.precision == "bf16":
        m, x = m.bfloat16(), x.bfloat16()
    if a.engine == "compiled":
        m = torch.compile(m)
    with torch.inference_mode():
        return a.batch / seconds(lambda: m(x)), torch.__version__


def images():
    import numpy as np
    return np.random.default_rng(0).standard_normal((a.batch, 3, a.image, a.image), dtype=np.float32)


def onnxruntime_rate():
    import onnxruntime as ort
    if a.precision != "fp32":
        raise SystemExit("ONNX Runtime computes in float32 on the CPU")
    o = ort.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads = a.threads, 1
    s = ort.InferenceSession(a.onnx, o, providers=["CPUExecutionProvider"])
    feed = {s.get_inputs()[0].name: images()}
    return a.batch / seconds(lambda: s.run(None, feed)), ort.__version__


def openvino_rate():
    import openvino as ov
    core = ov.Core()
    if a.onnx:
        model = core.read_model(a.onnx)
    else:
        import torch
        model = ov.convert_model(network(), example_input=torch.zeros(a.batch, 3, a.image, a.image))
    model.reshape([a.batch, 3, a.image, a.image])
    best, x = 0, images()
    for streams in sorted({1, a.threads}):
        c = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(a.precision, a.precision),
                                              "INFERENCE_NUM_THREADS": a.threads, "NUM_STREAMS": streams})
        queue = ov.AsyncInferQueue(c, streams)

        def run():
            for _ in range(streams):
                queue.start_async([x])
            queue.wait_all()
        best = max(best, streams * a.batch / seconds(run))
    return best, ov.__version__.split("-")[0]


rate, version = {"torch": torch_rate, "compiled": torch_rate, "onnxruntime": onnxruntime_rate, "openvino": openvino_rate}[a.engine]()
print(json.dumps(dict(engine=a.engine, version=version, precision=a.precision, images_per_s=round(rate, 2),
                      peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)))
