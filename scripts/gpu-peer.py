"""PyTorch doing the steps of scripts/gpu-check.sh on a ViT of the same shape, for
comparison: forward, lr (activation noise at the maps of the last block's attention and
at the classifier, the prefix computed once) and spsa (all weights). A query is one
forward of one image. Prints one line of JSON per mode and way.

usage: python3 gpu-peer.py [--batch 256 --queries 20 --size vit-b16 | tiny]"""
import argparse
import json
import math
import time

import torch
import torch.nn.functional as F

ap = argparse.ArgumentParser()
ap.add_argument("--batch", type=int, default=256)
ap.add_argument("--queries", type=int, default=20)
ap.add_argument("--size", default="vit-b16")
ap.add_argument("--device", default="cuda")
arg = ap.parse_args()
dev = torch.device(arg.device)
image, patch, width, heads, depth, mlp, classes = (224, 16, 768, 12, 12, 3072, 1000) if arg.size == "vit-b16" else (16, 8, 64, 2, 2, 128, 8)
side = image // patch
torch.manual_seed(0)


def normal(*shape, std=0.02):
    return torch.randn(*shape, device=dev) * std


def weights():
    p = {"cls": normal(1, 1, width), "pos": normal(1, side * side + 1, width), "patch.w": normal(width, 3 * patch * patch), "patch.b": normal(width)}
    for i in range(depth):
        for name, (n, k) in {"q": (width, width), "k": (width, width), "v": (width, width), "o": (width, width), "1": (mlp, width), "2": (width, mlp)}.items():
            p[f"{i}.{name}.w"], p[f"{i}.{name}.b"] = normal(n, k), normal(n)
        for name in ("n1", "n2"):
            p[f"{i}.{name}.w"], p[f"{i}.{name}.b"] = torch.ones(width, device=dev), normal(width)
    p["n.w"], p["n.b"], p["head.w"], p["head.b"] = torch.ones(width, device=dev), normal(width), normal(classes, width), normal(classes)
    return p


def map_(p, name, x):
    return F.linear(x, p[name + ".w"], p[name + ".b"])


def norm(p, name, x):
    return F.layer_norm(x, (width,), p[name + ".w"], p[name + ".b"], 1e-12)


def embed(p, x):
    b = x.shape[0]
    rows = x.view(b, 3, side, patch, side, patch).permute(0, 2, 4, 1, 3, 5).reshape(b, side * side, -1)
    return torch.cat([p["cls"].expand(b, 1, width), map_(p, "patch", rows)], 1) + p["pos"]


def split(x):
    return x.view(x.shape[0], -1, heads, width // heads).transpose(1, 2)


def block(p, i, h, noise=None):
    def noisy(name, z):
        return noise(name, z) if noise else z

    x = norm(p, f"{i}.n1", h)
    q, k, v = [split(noisy(s, map_(p, f"{i}.{s}", x))) for s in "qkv"]
    a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(h.shape)
    h = h + noisy("o", map_(p, f"{i}.o", a))
    return h + map_(p, f"{i}.2", F.gelu(map_(p, f"{i}.1", norm(p, f"{i}.n2", h))))


def head(p, h):
    return map_(p, "head", norm(p, "n", h[:, 0]))


def net(p, x):
    h = embed(p, x)
    for i in range(depth):
        h = block(p, i, h)
    return head(p, h)


def timed(f, steps):
    f()
    f()
    took = []
    for _ in range(steps):
        torch.cuda.synchronize()
        began = time.perf_counter()
        f()
        torch.cuda.synchronize()
        took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 2]


def show(mode, way, queries, seconds):
    print(json.dumps({"mode": mode, "way": way, "queries": queries, "seconds": seconds, "queries_per_s": queries / seconds}), flush=True)


def spsa(p, x, y, eps=1e-3):
    def shift(seed, by):
        torch.manual_seed(seed)
        for v in p.values():
            v.add_(torch.randn_like(v), alpha=by * eps)

    grads = {k: torch.zeros_like(v) for k, v in p.items()}
    for j in range(arg.queries // 2):
        shift(j, 1)
        up = F.cross_entropy(net(p, x).float(), y)
        shift(j, -2)
        down = F.cross_entropy(net(p, x).float(), y)
        shift(j, 1)
        c = ((up - down) / (2 * eps) / (arg.queries // 2)).item()
        torch.manual_seed(j)
        for k, v in p.items():
            grads[k].add_(torch.randn_like(v), alpha=c)
    for k, v in p.items():
        v.add_(grads[k], alpha=-1e-6)


def lr(p, x, y, sigma=1e-3):
    last, n = depth - 1, arg.queries
    h = embed(p, x)
    for i in range(last):
        h = block(p, i, h)
    many, labels = h.repeat(n, 1, 1), y.repeat(n)

    def noise(at, seen):
        def add(name, z):
            if name != at:
                return z
            e = torch.randn(z.shape[0] // 2, *z.shape[1:], device=dev, dtype=z.dtype)
            seen["e"] = torch.cat([e, -e])
            return z + sigma * seen["e"]

        return add

    for at in "qkvo":
        seen = {}
        loss = F.cross_entropy(head(p, block(p, last, many, noise(at, seen))).float(), labels, reduction="none")
        x1 = norm(p, f"{last}.n1", many)
        e = (seen["e"] * (loss / (sigma * x.shape[0]))[:, None, None].to(seen["e"].dtype)).reshape(-1, width)
        p[f"{last}.{at}.w"].add_(e.t() @ x1.reshape(-1, width), alpha=-1e-9)
    z = norm(p, "n", block(p, last, h)[:, 0]).repeat(n, 1)
    e = torch.randn(z.shape[0] // 2, classes, device=dev, dtype=z.dtype)
    e = torch.cat([e, -e])
    loss = F.cross_entropy((map_(p, "head", z) + sigma * e).float(), labels, reduction="none")
    p["head.w"].add_((e * (loss / (sigma * x.shape[0]))[:, None].to(e.dtype)).t() @ z, alpha=-1e-9)


p32 = weights()
x32 = torch.randn(arg.batch, 3, image, image, device=dev)
y = torch.randint(0, classes, (arg.batch,), device=dev)
half = {k: v.bfloat16() for k, v in p32.items()}
xh = x32.bfloat16()
torch.backends.cuda.matmul.allow_tf32 = True
with torch.inference_mode():
    for way, p, x in (("bf16 eager", half, xh), ("tf32 eager", p32, x32)):
        show("forward", way, arg.batch, timed(lambda: net(p, x), 8))
    for way, p, x in (("tf32 eager", p32, x32), ("bf16 eager", half, xh)):
        q = {k: v.clone() for k, v in p.items()}
        show("spsa", way, arg.batch * arg.queries, timed(lambda: spsa(q, x, y), 2))
        for n in (arg.queries, 4):  # a repeated batch may not fit
            try:
                arg.queries, whole = n, arg.queries
                show("lr", way, arg.batch * n * 5, timed(lambda: lr(q, x, y), 2))
                break
            except torch.cuda.OutOfMemoryError:
                torch.cuda.empty_cache()
            finally:
                arg.queries = whole
    try:
        fast = torch.compile(net)
        show("forward", "bf16 compiled", arg.batch, timed(lambda: fast(half, xh), 8))
    except Exception as e:  # no compiler on the machine
        print(json.dumps({"mode": "forward", "way": "bf16 compiled", "failed": str(e)[:200]}), flush=True)
