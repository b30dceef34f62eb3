"""check-jsonschema, as editors use the schema: every shipped config passes, and
wrong ones fail there and in flops alike."""
import subprocess
import sys

from common import REPO, ensure, flops, WORK

WRONG = {
    "steps": "train: {steps: many}",
    "unknown": "train: {stepz: 4}",
    "lr": "optimizer: {lr: -1}",
    "enum": "allocator: {name: fair}",
    "list": "data: {mean: {a: 1}}",
    "betas": "optimizer: {betas: [0.9]}",
    "timeout": "model: {timeout: 30x}",
    "blocks": "sites: {blocks: lastest-1}",
}


def check(schema, *files):
    r = subprocess.run([sys.executable, "-m", "check_jsonschema", "--schemafile", schema, *map(str, files)], capture_output=True, text=True)
    return r.returncode, r.stdout + r.stderr


schema = WORK / "schema.json"
schema.write_text(flops("config", "schema"))
good = sorted((REPO / "configs").glob("*.yaml"))
status, said = check(schema, *good)
ensure(status == 0, said)
for name, text in WRONG.items():
    f = WORK / f"wrong-{name}.yaml"
    f.write_text("data: {kind: shapes}\n" + text + "\n" if not text.startswith("data:") else text + "\n")
    status, said = check(schema, f)
    ensure(status != 0, f"the schema accepts {text}")
    flops("config", "validate", "--config", f, status=2)
print(f"check-jsonschema: {len(good)} shipped configs pass, {len(WRONG)} wrong ones fail there and in flops")
