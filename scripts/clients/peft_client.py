"""Python's PEFT loads the adapters that flops trains onto the model that they are of,
with the logits that flops has, and flops reads those that PEFT trained."""
import peft
import torch
import transformers
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from common import close, ensure, flops, model, picture, predict, WORK

transformers.logging.set_verbosity_error()
base, run, adapter = model(), WORK / "lora", WORK / "adapter"
(WORK / "lora.yaml").write_text("""
name: lora
model: {path: model}
data: {kind: folder, path: photos}
sites: {blocks: all, train: lora, rank: 4, targets: [query, key, value, attn_out, mlp_in, mlp_out]}
optimizer: {lr: 0.01}
train: {steps: 20, batch_size: 8, tensorboard: false}
""")
flops("train", "--config", "lora.yaml", "--output", run)
flops("model", "export", run / "checkpoints" / "last", adapter,
      "--adapter=" + transformers.__version__.split(".")[0])


def compare(net, folder, what):
    """The largest difference of the logits of the library and of flops, which loads folder."""
    processor = AutoImageProcessor.from_pretrained(base, backend="pil")
    files = [WORK / f"square-{i}.png" for i in range(6)]  # of the model's size: nothing is resized
    for i, path in enumerate(files):
        picture(80 + i, 32, 32).save(path)
    worst = 0.0
    for path, got in zip(files, predict(folder, *files)):
        with torch.no_grad():
            want = net(**processor(Image.open(path).convert("RGB"), return_tensors="pt")).logits[0]
        worst = max(worst, close(got, want, 1e-4, f"{what}, {path.name}"))
    return worst


# The core between fixed directions is the adapter of its rank.
(WORK / "core.yaml").write_text((WORK / "lora.yaml").read_text().replace("name: lora", "name: core").replace(
    "train: lora", "train: core"))
flops("train", "--config", "core.yaml", "--output", WORK / "core")
flops("model", "export", WORK / "core" / "checkpoints" / "last", WORK / "core-adapter",
      "--adapter=" + transformers.__version__.split(".")[0])
core = peft.PeftModel.from_pretrained(AutoModelForImageClassification.from_pretrained(base, dtype=torch.float32),
                                      WORK / "core-adapter").eval()
ensure(max(float(v.abs().max()) for k, v in peft.get_peft_model_state_dict(core).items() if "lora_B" in k) > 0,
       "no core moved")
cores = compare(core, WORK / "core" / "checkpoints" / "last", "a core trained by flops")

net = peft.PeftModel.from_pretrained(AutoModelForImageClassification.from_pretrained(base, dtype=torch.float32),
                                     adapter).eval()
state = peft.get_peft_model_state_dict(net)
moved = max(float(v.abs().max()) for k, v in state.items() if "lora_B" in k)
ensure(moved > 0, "no factor B moved")
ours = max(compare(net, run / "checkpoints" / "last", "trained by flops"),
           compare(net, adapter, "the adapter's folder, by flops"))

# One that PEFT makes: other targets, rank-stabilised, with a classifier of its own.
torch.manual_seed(1)
made = peft.get_peft_model(
    AutoModelForImageClassification.from_pretrained(base, dtype=torch.float32),
    peft.LoraConfig(r=3, lora_alpha=5, use_rslora=True, target_modules=["query", "dense"] if
                    transformers.__version__ < "5" else ["q_proj", "fc1"], modules_to_save=["classifier"]))
with torch.no_grad():
    for name, p in made.named_parameters():
        if "lora_B" in name:
            p.normal_(std=0.05)
made.save_pretrained(WORK / "theirs")
theirs = compare(made.eval(), WORK / "theirs", "made by PEFT")
flops("model", "export", WORK / "theirs", WORK / "theirs-merged")
merged = AutoModelForImageClassification.from_pretrained(WORK / "theirs-merged", dtype=torch.float32).eval()
compare(merged, WORK / "theirs-merged", "made by PEFT, merged by flops")
print(f"peft {peft.__version__}, transformers {transformers.__version__}: adapters of {len(state)} tensors, logits "
      f"within {ours:.1e} (trained by flops), {cores:.1e} (a core) and {theirs:.1e} (made by PEFT)")
