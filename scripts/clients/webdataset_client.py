"""Shards that webdataset's writer made, packed and not, hold what was written."""
import webdataset

from common import CLASSES, ensure, examples, flops, WORK
from PIL import Image

count = 0
for kind, pattern in (("tar", "{}-%06d.tar"), ("tar.gz", "{}-%06d.tar.gz")):
    folder = WORK / ("shards-" + kind.replace(".", "-"))
    folder.mkdir(exist_ok=True)
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    for split, each in (("train", 8), ("test", 4)):
        with webdataset.ShardWriter(str(folder / pattern.format(split)), maxcount=10, verbose=0) as w:
            for n, (label, im) in enumerate(examples(split, each)):
                w.write({"__key__": f"{n:06d}", "png": im, "cls": label})
    out = WORK / ("from-" + folder.name)
    flops("data", "export", "--path", folder, "--output", out)
    for split, each in (("train", 8), ("test", 4)):
        want = sorted(im.tobytes() for _, im in examples(split, each))
        got = sorted(Image.open(p).convert("RGB").tobytes() for p in (out / split).glob("*/*"))
        ensure(got == want, f"{folder.name} {split}: {len(got)} pictures, want {len(want)} of the same pixels")
        count += len(got)
print(f"webdataset {webdataset.__version__}: {count} pictures of .tar and .tar.gz shards, pixels equal")
