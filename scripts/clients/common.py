"""What the checks of real clients share: flops as a process, pictures, and how a
check ends (one line, or a reason and status 1)."""
import json
import os
import pathlib
import random
import subprocess
import sys
import time
import urllib.request

FLOPS = os.environ["FLOPS"]
WORK = pathlib.Path(os.environ["CLIENTS_WORK"])
REPO = pathlib.Path(__file__).resolve().parents[2]
CLASSES = ["ant", "bee", "cow"]


def flops(*args, status=0):
    """Runs flops and gives its standard output; any other status is an error."""
    r = subprocess.run([FLOPS, *map(str, args)], capture_output=True, text=True, cwd=WORK)
    if r.returncode != status:
        fail(f"flops {' '.join(map(str, args))}: status {r.returncode}, want {status}\n{r.stdout}{r.stderr}")
    return r.stdout if status == 0 else r.stderr


def predict(model, *pictures):
    """The logits of pictures, in the model's order of classes."""
    lines = flops("predict", "--json", "--model", model, *pictures).splitlines()
    return [json.loads(line)["logits"] for line in lines]


def fail(why):
    print(why, file=sys.stderr)
    sys.exit(1)


def ensure(ok, why):
    if not ok:
        fail(why)


def close(got, want, tolerance, what):
    """The largest difference of two lists of numbers, refused above tolerance."""
    ensure(len(got) == len(want), f"{what}: {len(got)} numbers, want {len(want)}")
    d = max((abs(float(a) - float(b)) for a, b in zip(got, want)), default=0.0)
    ensure(d <= tolerance, f"{what}: differs by {d:.3g}, more than {tolerance}\n{list(got)}\n{list(want)}")
    return d


def picture(seed, width, height, mode="RGB"):
    """A smooth picture with noise, a function of its seed."""
    from PIL import Image

    r = random.Random(seed)
    small = Image.new("RGB", (5, 4))
    small.putdata([tuple(r.randrange(256) for _ in range(3)) for _ in range(20)])
    return small.resize((width, height), Image.BICUBIC).convert(mode)


SIZES = [(32, 32), (1, 1), (33, 31), (100, 7), (64, 48), (47, 90), (300, 200)]


def pictures():
    """Files of many sizes, kinds and modes."""
    folder = WORK / "pictures"
    if not folder.exists():
        folder.mkdir()
        for i, (w, h) in enumerate(SIZES):
            picture(i, w, h).save(folder / f"{i}.png")
            picture(i, w, h).save(folder / f"{i}.jpg", quality=85)
        picture(50, 40, 30, "L").save(folder / "grey.png")
        picture(51, 40, 30, "P").save(folder / "palette.png")
        picture(52, 40, 30, "L").save(folder / "grey.jpg")
    return sorted(folder.iterdir())


def examples(split, each):
    """(class number, picture) pairs, told apart by their brightness."""
    for label in range(len(CLASSES)):
        for i in range(each):
            im = picture(1000 * label + i + (500 if split == "test" else 0), 40, 36)
            yield label, im.point(lambda v, k=label: min(255, v // 2 + 50 * k))


def class_folders():
    """train/ and test/ with three classes."""
    root = WORK / "photos"
    if not root.exists():
        for split, each in (("train", 8), ("test", 4)):
            for n, (label, im) in enumerate(examples(split, each)):
                (root / split / CLASSES[label]).mkdir(parents=True, exist_ok=True)
                im.save(root / split / CLASSES[label] / f"{n}.png")
    return root


MODEL = """
name: clients
model: {arch: {image: 32, patch: 8, channels: 3, hidden: 32, layers: 2, heads: 2, mlp: 64}}
data: {kind: folder, path: photos, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
estimator: {name: bp}
optimizer: {lr: 3e-3}
train: {steps: 12, batch_size: 8, eval_every: 4, seed: 3}
checkpoint: {every: 4}
"""


def run():
    """A run folder of twelve steps on the class folders."""
    class_folders()
    out = WORK / "run"
    if not out.exists():
        (WORK / "model.yaml").write_text(MODEL)
        flops("train", "--config", "model.yaml", "--output", "run")
    return out


def model():
    """The folder that flops exports of that run."""
    run()
    out = WORK / "model"
    if not out.exists():
        flops("model", "export", "run/checkpoints/last", "model")
    return out


class Served:
    """flops serve of a model, as a context; .url is its address."""

    def __init__(self, folder, name="vit"):
        self.args = [FLOPS, "serve", "--model", str(folder), "--addr", "127.0.0.1:0", "--name", name]

    def __enter__(self):
        self.process = subprocess.Popen(self.args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=WORK)
        line = self.process.stdout.readline()
        ensure("http://" in line, f"flops serve said {line!r} {'' if line else self.process.stderr.read()}")
        self.url = "http://" + line.split("http://")[1].split("/")[0]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as r:
        return r.read()


def wait_for(url, seconds=60, process=None):
    """Until an address answers 200."""
    end = time.time() + seconds
    while True:
        try:
            return get(url)
        except OSError as e:
            if time.time() > end or (process is not None and process.poll() is not None):
                fail(f"{url}: {e}")
            time.sleep(0.2)


def free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
