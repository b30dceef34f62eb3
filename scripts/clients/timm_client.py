"""A folder in timm's layout, written by timm, gives timm's logits."""
import json

import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from common import close, pictures, predict, WORK

torch.manual_seed(0)
net = timm.create_model("vit_tiny_patch16_224", pretrained=False, img_size=64, num_classes=3).eval()
with torch.no_grad():
    for p in net.parameters():  # fresh heads are zeros: draw everything
        p.add_(0.05 * torch.randn_like(p))
folder = WORK / "timm"
folder.mkdir(exist_ok=True)
save_file(net.state_dict(), folder / "model.safetensors")
cfg = dict(net.pretrained_cfg, input_size=[3, 64, 64], num_classes=3, crop_pct=0.9, interpolation="bicubic",
           mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])
(folder / "config.json").write_text(json.dumps({
    "architecture": "vit_tiny_patch16_224", "num_classes": 3, "num_features": 192, "global_pool": "token",
    "model_args": {"img_size": 64}, "label_names": ["ant", "bee", "cow"], "pretrained_cfg": cfg}, default=str))
transform = timm.data.create_transform(**timm.data.resolve_data_config(cfg, model=net), is_training=False)
files, worst = pictures(), 0.0
for path, got in zip(files, predict(folder, *files)):
    with torch.no_grad():
        want = net(transform(Image.open(path).convert("RGB"))[None])[0]
    worst = max(worst, close(got, want, 0.05, path.name))
print(f"timm {timm.__version__}: {len(files)} pictures, logits within {worst:.1e}")
