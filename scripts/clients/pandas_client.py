"""pandas reads the tables of a run, and the numbers agree with each other."""
import json

import pandas as pd

from common import ensure, flops, run

folder = run()
metrics = pd.read_json(folder / "metrics.jsonl", lines=True)
summary = pd.read_csv(folder / "summary.csv")
ensure(list(metrics.step) == list(range(1, 13)), f"steps {list(metrics.step)}")
ensure(summary.notna().any(axis=None) and summary.step.is_monotonic_increasing, summary.to_string())
ledger = json.loads((folder / "ledger.json").read_text())
score = json.loads(flops("eval", "--model", "run/checkpoints/last", "--data", "photos", "--json"))
last = [m for m in metrics["eval"].dropna()][-1]
ensure(abs(score["top1"] - last["top1"]) < 1e-9, f"eval says {score['top1']}, the run {last['top1']}")
print(f"pandas {pd.__version__}: metrics.jsonl ({len(metrics)} rows, {metrics.shape[1]} columns), summary.csv ({len(summary)}), "
      f"ledger.json ({len(ledger)} keys), eval --json equal to the run's last line")
