"""TensorBoard shows each step once, also of a run that was stopped and resumed,
each tag as one kind of thing, and the numbers of metrics.jsonl."""
import json
import subprocess
import sys
import urllib.parse

import tensorboard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from common import MODEL, close, class_folders, ensure, flops, free_port, get, wait_for, WORK

class_folders()
(WORK / "half.yaml").write_text(MODEL)
flops("train", "--config", "half.yaml", "--output", "resumed", "--set", "train.steps=8")
flops("train", "--resume", "resumed", "--set", "train.steps=12")
events = EventAccumulator(str(WORK / "resumed" / "tb"), size_guidance={"scalars": 0})
events.Reload()
tags = events.Tags()
kinds = {}
for kind in ("scalars", "images", "histograms"):
    for tag in tags[kind]:
        ensure(tag not in kinds, f"tag {tag} is {kinds.get(tag)} and {kind}")
        kinds[tag] = kind
loss = next(t for t in sorted(tags["scalars"]) if t.endswith("loss") and len(events.Scalars(t)) == 12)
steps = [e.step for e in events.Scalars(loss)]
ensure(steps == list(range(1, 13)), f"{loss}: steps {steps}")
lines = [json.loads(line) for line in (WORK / "resumed" / "metrics.jsonl").read_text().splitlines()]
close([e.value for e in events.Scalars(loss)], [m["loss"] for m in lines], 1e-5, loss)

port = free_port()
server = subprocess.Popen([sys.executable, "-m", "tensorboard.main", "--logdir", str(WORK / "resumed"), "--port", str(port),
                           "--load_fast=false"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    base = f"http://127.0.0.1:{port}/data/plugin/scalars"
    wait_for(base + "/tags", process=server)
    for _ in range(100):
        runs = json.loads(get(base + "/tags"))
        if any(loss in tags for tags in runs.values()):
            break
    name = next(run for run, tags in runs.items() if loss in tags)
    points = json.loads(get(base + "/scalars?" + urllib.parse.urlencode({"run": name, "tag": loss})))
    ensure([p[1] for p in points] == steps, f"over HTTP: steps {[p[1] for p in points]}")
finally:
    server.terminate()
    server.wait()
print(f"tensorboard {tensorboard.__version__}: {len(kinds)} tags of one kind each, every step once after a resume, read and over HTTP")
