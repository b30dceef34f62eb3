"""datasets' parquet files train as the class folders do, pixels and names alike,
and class folders that flops writes load in datasets."""
import json

import datasets
from datasets import ClassLabel, Dataset, Features, Image, load_dataset
import io

from common import CLASSES, class_folders, ensure, examples, flops, WORK

folder = WORK / "parquet"
folder.mkdir(exist_ok=True)


def png(im):
    b = io.BytesIO()
    im.save(b, "PNG")
    return {"bytes": b.getvalue(), "path": None}


for split, each in (("train", 8), ("test", 4)):
    rows = list(examples(split, each))
    ds = Dataset.from_dict({"image": [png(im) for _, im in rows], "label": [k for k, _ in rows]},
                           features=Features({"image": Image(), "label": ClassLabel(names=CLASSES)}))
    for shard in range(2):
        ds.shard(2, shard).to_parquet(folder / f"{split}-{shard:05d}-of-00002.parquet")
report = json.loads(flops("data", "inspect", folder, "--json"))
flops("data", "export", "--path", folder, "--output", "from-parquet")
back = load_dataset("imagefolder", data_dir=str(WORK / "from-parquet"))
ensure(back["train"].features["label"].names == CLASSES, f"classes {back['train'].features['label'].names}")
for split, each in (("train", 8), ("test", 4)):
    want = sorted((k, im.tobytes()) for k, im in examples(split, each))
    got = sorted((r["label"], r["image"].convert("RGB").tobytes()) for r in back[split])
    ensure(got == want, f"{split}: the pixels of {sum(a != b for a, b in zip(got, want))} pictures differ")
class_folders()
print(f"datasets {datasets.__version__}: two shards a split, pixels and names equal there and back "
      f"(inspect: {', '.join(sorted(report))})")
