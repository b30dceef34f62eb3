"""Seconds of training to an accuracy: the last block and the classifier of a ViT by
forward passes, by the program's own backpropagation, and by PyTorch's on features that
were made once by everything below the block. Each way in turn, seed after seed, each in a
process of its own; evaluations are outside the clock. Needs PyTorch alone.

  python3 scripts/seconds.py --flops bin/flops --shared ../shared [--seeds 0,1,2 --threads 2 --bf16]

prints, for each way, the step and the seconds of the first evaluation that reaches the
accuracy: training alone, and with the features of the images, which the program makes
within its clock at each image's first visit and PyTorch before. PyTorch computes all
rows of the block, as networks are written, or by hand the one row that is read."""
import argparse
import glob
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib

ap = argparse.ArgumentParser()
ap.add_argument("--flops", default="bin/flops")
ap.add_argument("--shared", default="../shared")
ap.add_argument("--config", default="configs/signs10.yaml")
ap.add_argument("--seeds", default="0,1,2")
ap.add_argument("--goal", type=float, default=0.55)
ap.add_argument("--every", type=int, default=10, help="steps between evaluations")
ap.add_argument("--steps", type=int, default=610)
ap.add_argument("--rate", type=float, default=1e-3, help="of PyTorch's AdamW and of the program's")
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--bf16", action="store_true", help="PyTorch under autocast to bfloat16 too")
ap.add_argument("--torch", type=int, help="a PyTorch run of this seed, as one line of JSON")
ap.add_argument("--amp", action="store_true")
ap.add_argument("--whole", action="store_true", help="PyTorch computes all rows of the block, as networks are written, and not the read one alone")
arg = ap.parse_args()


def pixels(path):
    """The bytes of an 8-bit RGB PNG that is not interlaced, row by row."""
    raw, at, data = open(path, "rb").read(), 8, b""
    while at < len(raw):
        n, kind = struct.unpack(">I4s", raw[at:at + 8])
        if kind == b"IHDR":
            width, height = struct.unpack(">II", raw[at + 8:at + 16])
        elif kind == b"IDAT":
            data += raw[at + 8:at + 8 + n]
        at += 12 + n
    data, row, out = zlib.decompress(data), 3 * width, bytearray()
    last = bytearray(row)
    for y in range(height):
        how, line = data[y * (row + 1)], bytearray(data[y * (row + 1) + 1:(y + 1) * (row + 1)])
        for i in range(row) if how else ():
            a, b, c = line[i - 3] if i > 2 else 0, last[i], last[i - 3] if i > 2 else 0
            if how == 4:
                p = a + b - c
                pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
                add = a if pa <= pb and pa <= pc else b if pb <= pc else c
            else:
                add = (0, a, b, (a + b) // 2)[how]
            line[i] = (line[i] + add) & 255
        out, last = out + line, line
    return bytes(out)


def by_torch(seed, amp):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(arg.threads)
    torch.manual_seed(seed)
    where = os.path.join(arg.shared, "models/vit-cifar5")
    conf = json.load(open(os.path.join(where, "config.json")))
    raw = open(os.path.join(where, "model.safetensors"), "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    W = {}
    for name, t in json.loads(raw[8:8 + n]).items():
        if name != "__metadata__":
            lo, hi = t["data_offsets"]
            W[name] = torch.frombuffer(bytearray(raw[8 + n + lo:8 + n + hi]), dtype=torch.float32).view(t["shape"])
    heads, depth, eps, patch = (conf[k] for k in ("num_attention_heads", "num_hidden_layers", "layer_norm_eps", "patch_size"))
    width, side = conf["hidden_size"], conf["image_size"] // conf["patch_size"]

    def split(part):
        X, y = [], []
        root = os.path.join(arg.shared, "data/signs10", part)
        for label, name in enumerate(sorted(os.listdir(root))):
            for path in sorted(glob.glob(os.path.join(root, name, "*.png"))):
                X.append(torch.frombuffer(bytearray(pixels(path)), dtype=torch.uint8).view(conf["image_size"], conf["image_size"], 3))
                y.append(label)
        return (torch.stack(X).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5, torch.tensor(y)

    def lin(x, name):
        return F.linear(x, W[name + ".weight"], W[name + ".bias"])

    def norm(x, name):
        return F.layer_norm(x, (width,), W[name + ".weight"], W[name + ".bias"], eps)

    def block(h, i, rows=None):
        """Rows of the block's output, all or the first ones; only what they need is computed."""
        p = f"vit.encoder.layer.{i}."
        x = norm(h, p + "layernorm_before")
        top, h = x[:, :rows], h[:, :rows]
        q, k, v = (lin(a, p + f"attention.attention.{s}").view(len(a), -1, heads, width // heads).transpose(1, 2)
                   for s, a in (("query", top), ("key", x), ("value", x)))
        a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(h.shape)
        h = h + lin(a, p + "attention.output.dense")
        return h + lin(F.gelu(lin(norm(h, p + "layernorm_after"), p + "intermediate.dense")), p + "output.dense")

    def below(x):
        rows = F.conv2d(x, W["vit.embeddings.patch_embeddings.projection.weight"],
                        W["vit.embeddings.patch_embeddings.projection.bias"], stride=patch).flatten(2).transpose(1, 2)
        h = torch.cat([W["vit.embeddings.cls_token"].expand(len(x), 1, width), rows], 1) + W["vit.embeddings.position_embeddings"]
        for i in range(depth - 1):
            h = block(h, i)
        return h

    def net(h):
        return lin(norm(block(h, depth - 1, None if arg.whole else 1)[:, 0], "vit.layernorm"), "classifier")

    (X, y), (Xt, yt) = split("train"), split("test")
    with torch.no_grad():
        below(X[:64])
        began = time.perf_counter()
        H = torch.cat([below(x) for x in X.split(64)])
        features = time.perf_counter() - began
        Ht = torch.cat([below(x) for x in Xt.split(64)])
    classes = int(y.max()) + 1
    W["classifier.weight"], W["classifier.bias"] = 0.02 * torch.randn(classes, width), torch.zeros(classes)
    maps = [f"vit.encoder.layer.{depth - 1}.{m}" for m in ("attention.attention.query", "attention.attention.key",
            "attention.attention.value", "attention.output.dense", "intermediate.dense", "output.dense")] + ["classifier"]
    train = [W[m + "." + s].requires_grad_() for m in maps for s in ("weight", "bias")]
    opt = torch.optim.AdamW(train, lr=arg.rate, weight_decay=0)
    seconds, order = 0.0, []
    for step in range(1, arg.steps + 1):
        began = time.perf_counter()
        if len(order) < 64:
            order = torch.randperm(len(y)).tolist()
        take, order = torch.tensor(order[:64]), order[64:]
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            loss = F.cross_entropy(net(H[take]).float(), y[take])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        seconds += time.perf_counter() - began
        if step % arg.every == 0:
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=amp):
                hit = sum(int((net(h).argmax(1) == t).sum()) for h, t in zip(Ht.split(200), yt.split(200))) / len(yt)
            if hit >= arg.goal:
                return {"step": step, "seconds": seconds, "all": seconds + features, "accuracy": hit}
    return {}


def by_flops(seed, sets):
    with tempfile.TemporaryDirectory() as d:
        cmd = [arg.flops, "train", "--config", arg.config, "--output", d + "/run"]
        for s in sets + [f"train.seed={seed}", f"train.steps={arg.steps}", f"train.eval_every={arg.every}", f"train.threads={arg.threads}",
                         "checkpoint.every=100000", "checkpoint.keep_best=false", "train.tensorboard=false"]:
            cmd += ["--set", s]
        env = dict(os.environ, FLOPS_SHARED=arg.shared, GOMAXPROCS=str(arg.threads))
        subprocess.run(cmd, check=True, env=env, stdout=subprocess.DEVNULL)
        clock = dict(line.split(",") for line in open(d + "/run/clock.csv").read().split()[1:])
        for line in open(d + "/run/metrics.jsonl"):
            m = json.loads(line)
            if m.get("eval", {}).get("top1", 0) >= arg.goal:
                took = float(clock[str(m["step"])])
                return {"step": m["step"], "seconds": took, "all": took, "accuracy": m["eval"]["top1"]}
    return {}


def of_torch(seed, *flags):
    cmd = [sys.executable, __file__, "--torch", str(seed), *flags]
    for k in ("shared", "goal", "every", "steps", "rate", "threads"):
        cmd += [f"--{k}", str(getattr(arg, k))]
    env = dict(os.environ, OMP_NUM_THREADS=str(arg.threads), CUDA_VISIBLE_DEVICES="")
    return json.loads(subprocess.run(cmd, check=True, env=env, capture_output=True, text=True).stdout)


if arg.torch is not None:
    print(json.dumps(by_torch(arg.torch, arg.amp)))
    sys.exit()
bp = ["estimator.name=bp", "estimator.schedule=", "optimizer.name=adamw", "optimizer.ema=0", "optimizer.weight_decay=0", f"optimizer.lr={arg.rate}"]
ways = {"forward passes": lambda s: by_flops(s, []), "its own bp": lambda s: by_flops(s, bp), "PyTorch": lambda s: of_torch(s, "--whole"),
        "PyTorch, one row": lambda s: of_torch(s)}
if arg.bf16:
    ways["PyTorch, bf16"] = lambda s: of_torch(s, "--whole", "--amp")
got = {w: [] for w in ways}
for seed in arg.seeds.split(","):
    for way in random.Random(seed).sample(list(ways), len(ways)):
        r = dict(way=way, seed=int(seed), load=round(os.getloadavg()[0], 1), **ways[way](seed))
        got[way].append(r)
        print(json.dumps(r), flush=True)
print(f"first evaluation at {arg.goal} or more, {arg.threads} threads, medians")
for way, rs in got.items():
    rs = [r for r in rs if "step" in r]
    if rs:
        print("%-16s %3d of %d seeds, step %4.0f, %5.1f s, with the features %5.1f s" % (way, len(rs), len(got[way]),
              *(statistics.median(r[k] for r in rs) for k in ("step", "seconds", "all"))))
