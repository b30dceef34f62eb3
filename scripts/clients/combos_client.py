"""Models of random sizes and switches, each drawn by a seed, in the layouts of
transformers and timm: what flops embeds, predicts, learns by a step of
backpropagation over every tensor, resizes and writes in ONNX is what the libraries
compute. COMBOS (28) models from seed COMBOS_SEED (1) on."""
import json
import os
import random

import numpy as np
import onnxruntime
import timm
import timm.models
import torch
import transformers as tr
from PIL import Image
from safetensors.torch import load_file, save_file

from common import WORK, ensure, fail, flops, predict

tr.logging.set_verbosity_error()
tr.utils.logging.disable_progress_bar()
torch.set_num_threads(1)
NAMES = ["ant", "bee", "cow"]
LABELS = dict(id2label=dict(enumerate(NAMES)), label2id={v: k for k, v in enumerate(NAMES)})
RATE = 1e-2
TRAIN = """
name: step
model: {{path: {model}}}
data: {{kind: folder, path: {data}}}
estimator: {{name: bp}}
sites: {{blocks: all, kinds: [query, key, value, attn_out, mlp_in, mlp_out, pool], patch_embed: true,
  params: [norm, cls_token, position, layer_scale]}}
optimizer: {{name: sgd, lr: {rate}, momentum: 0}}
train: {{steps: 1, batch_size: 6, eval_every: 0, seed: 3}}
"""


class Drawn:
    """A model of a library: net, and what is known of its images and rows."""

    def __init__(self, r):
        self.r = r
        self.patch, self.chans = r.choice([4, 5, 7, 8]), 3
        self.heads = r.choice([1, 2, 3])
        self.width = self.heads * r.choice([8, 12, 20])
        self.layers, self.mlp = r.randint(1, 3), r.choice([10, 24, 33])
        self.act = r.choice(["gelu", "gelu_new", "quick_gelu", "relu", "silu", "gelu_pytorch_tanh"])
        self.eps = r.choice([1e-12, 1e-6, 1e-3])
        self.grid = (r.randint(1, 5), r.randint(1, 5))
        self.stored = None  # rows and columns that positions are stored for, where not those of the images
        self.lead, self.pooled, self.resize = 1, None, False
        self.classes = True

    @property
    def size(self):
        return [self.grid[0] * self.patch, self.grid[1] * self.patch]

    def square(self):
        self.grid = (self.grid[0], self.grid[0])

    def common(self, **more):
        return dict(hidden_size=self.width, num_hidden_layers=self.layers, num_attention_heads=self.heads, hidden_act=self.act,
                    intermediate_size=self.mlp, patch_size=self.patch, layer_norm_eps=self.eps, num_channels=self.chans,
                    image_size=self.stored or self.size, **LABELS) | more

    def moved(self):
        """Positions stored for a square of another size, as the hub's DINOv2 has them."""
        if self.r.random() < 0.7:
            self.stored = self.r.randint(2, 6) * self.patch
        else:
            self.square()


def vit(m):
    if m.r.random() < 0.2:
        m.chans = 1
    bias = m.r.random() < 0.7
    if m.r.random() < 0.6:
        m.resize = True
        m.net = tr.ViTForImageClassification(tr.ViTConfig(**m.common(qkv_bias=bias)))
        m.pooled = lambda o: o[:, 0]
    else:
        m.classes, pooler = False, m.r.random() < 0.5
        m.net = tr.ViTModel(tr.ViTConfig(**m.common(qkv_bias=bias)), add_pooling_layer=pooler)
        m.pooled = (lambda o: m.net.pooler(o)) if pooler else (lambda o: o[:, 0])
    m.processor = tr.ViTImageProcessor


def msn(m):
    m.net, m.pooled, m.processor = tr.ViTMSNForImageClassification(tr.ViTMSNConfig(**m.common())), lambda o: o[:, 0], tr.ViTImageProcessor


def ijepa(m):
    m.net, m.processor = tr.IJepaForImageClassification(tr.IJepaConfig(**m.common())), tr.ViTImageProcessor
    m.lead, m.pooled = 0, lambda o: o.mean(1)


def deit(m):
    m.lead, m.resize, m.processor = 2, True, tr.DeiTImageProcessor
    if m.r.random() < 0.5:
        m.net, m.pooled = tr.DeiTForImageClassification(tr.DeiTConfig(**m.common())), lambda o: o[:, 0]
    else:
        m.net = tr.DeiTForImageClassificationWithTeacher(tr.DeiTConfig(**m.common()))
        m.pooled = lambda o: (o[:, 0] + o[:, 1]) / 2


def dinov2(m):
    m.moved()
    gated, registers, m.processor = m.r.random() < 0.5, m.r.choice([None, 1, 4]), tr.BitImageProcessor
    keys = m.common(mlp_ratio=m.r.choice([1, 2, 3]), use_swiglu_ffn=gated, qkv_bias=m.r.random() < 0.8)
    keys.pop("intermediate_size")
    if registers is None:
        config, heads = tr.Dinov2Config(**keys), (tr.Dinov2ForImageClassification, tr.Dinov2Model)
    else:
        config = tr.Dinov2WithRegistersConfig(**keys, num_register_tokens=registers)
        heads = tr.Dinov2WithRegistersForImageClassification, tr.Dinov2WithRegistersModel
        m.lead = 1 + registers
    if m.r.random() < 0.6:
        m.net, m.pooled = heads[0](config), lambda o: torch.cat([o[:, 0], o[:, m.lead:].mean(1)], 1)
    else:
        m.net, m.classes, m.pooled = heads[1](config), False, lambda o: o[:, 0]


def dinov3(m):
    m.classes, m.processor = False, tr.DINOv3ViTImageProcessor
    m.width = m.heads * m.r.choice([8, 12])
    registers, gated = m.r.choice([0, 1, 4]), m.r.random() < 0.5
    keys = m.common(num_register_tokens=registers, use_gated_mlp=gated, key_bias=m.r.random() < 0.5, query_bias=m.r.random() < 0.7,
                    value_bias=m.r.random() < 0.7, proj_bias=m.r.random() < 0.7, mlp_bias=m.r.random() < 0.7,
                    rope_theta=m.r.choice([10.0, 100.0]))
    m.lead = 1 + registers
    m.net, m.pooled = tr.DINOv3ViTModel(tr.DINOv3ViTConfig(**keys)), lambda o: o[:, 0]


def beit(m):
    m.processor, mean = tr.BeitImageProcessor, m.r.random() < 0.6
    bias = m.r.choice(["own", "shared", "none"])
    places = bias == "none" or m.r.random() < 0.3
    if places:
        m.square()  # the library takes the root of their number for a side
    keys = m.common(use_mean_pooling=mean, layer_scale_init_value=m.r.choice([0.0, 0.1]),
                    use_relative_position_bias=bias == "own", use_shared_relative_position_bias=bias == "shared",
                    use_absolute_position_embeddings=places)
    m.net = tr.BeitForImageClassification(tr.BeitConfig(**keys))
    norm = m.net.beit.pooler.layernorm
    m.pooled = (lambda o: norm(o[:, 1:].mean(1))) if mean else (lambda o: o[:, 0])


def clip(m):
    m.square()
    m.lead, m.processor = 1, tr.CLIPImageProcessor
    keys = m.common(image_size=m.size[0], projection_dim=m.r.choice([6, 10]))
    if m.r.random() < 0.4:
        keys = {k: v for k, v in keys.items() if k not in LABELS}
        text = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=8, max_position_embeddings=4)
        m.net = tr.CLIPForImageClassification(tr.CLIPConfig(vision_config=keys, text_config=text, **LABELS))
        m.pooled = lambda o: o[:, 1:].mean(1)
        return
    m.classes = False
    m.net = tr.CLIPVisionModelWithProjection(tr.CLIPVisionConfig(**keys))
    m.pooled = lambda o: m.net.vision_model.post_layernorm(o[:, 0])
    m.projection = lambda o: m.net.visual_projection(m.pooled(o))


def siglip(m):
    m.square()
    m.lead, m.processor = 0, tr.SiglipImageProcessor
    keys = {k: v for k, v in m.common(image_size=m.size[0]).items() if k not in LABELS}
    if m.r.random() < 0.6:
        text = dict(hidden_size=m.width, num_hidden_layers=1, num_attention_heads=m.heads, intermediate_size=8, vocab_size=8,
                    max_position_embeddings=4)
        m.net = tr.SiglipForImageClassification(tr.SiglipConfig(vision_config=keys, text_config=text, **LABELS))
        m.pooled = lambda o: o.mean(1)
        return
    m.classes, m.net = False, tr.SiglipVisionModel(tr.SiglipVisionConfig(**keys))
    m.pooled = lambda o: getattr(m.net, "vision_model", m.net).head(o)


TIMM = ["vit_tiny_patch16_224", "vit_base_patch16_siglip_224", "vit_small_patch14_reg4_dinov2", "vit_base_patch16_clip_224",
        "deit_tiny_distilled_patch16_224", "vit_giant_patch14_dinov2", "deit3_small_patch16_224", "vit_medium_patch16_gap_256"]


def plain_timm(m):
    name, r = m.r.choice(TIMM), m.r
    args = dict(img_size=m.size, patch_size=m.patch, embed_dim=m.width, depth=m.layers, num_heads=m.heads, mlp_ratio=r.choice([2, 3]))
    if "distilled" not in name:
        if r.random() < 0.4:
            args["init_values"] = 0.1
        if r.random() < 0.4:
            args["qk_norm"] = True
        if r.random() < 0.4:
            args["reg_tokens"] = r.choice([1, 3])
        if r.random() < 0.3:
            args["no_embed_class"] = True
        if r.random() < 0.3:
            args["qkv_bias"] = False
        if "siglip" not in name and "gap" not in name and r.random() < 0.4:
            args["global_pool"] = r.choice(["token", "avg"])
        seldom(name, args, r)
    m.net, m.timm = timm.create_model(name, pretrained=False, num_classes=3, **args), (name, args)
    m.lead = m.net.num_prefix_tokens


def seldom(name, args, r):
    """Switches that few folders of timm have otherwise than by their names."""
    if r.random() < 0.25:
        args["pool_include_prefix"] = True
    if r.random() < 0.15:
        args["global_pool"] = r.choice(["map", "avg"])
    if r.random() < 0.2 and args.get("global_pool") != "token" and ("siglip" in name or "gap" in name or "global_pool" in args):
        args["class_token"] = r.random() < 0.5
    for key in ("fc_norm", "final_norm", "pre_norm", "proj_bias"):
        if r.random() < 0.12:
            args[key] = r.random() < 0.5
    if r.random() < 0.15:
        args["act_layer"] = r.choice(["relu", "quick_gelu", "silu", "gelu_tanh"])
    if r.random() < 0.1:
        args["pos_embed"] = "none"


FAMILIES = [vit, dinov2, plain_timm, beit, deit, dinov3, clip, siglip, dinov2, plain_timm, ijepa, msn]


def randomise(net, g):
    """Every term matters: no zero bias, no unit norm, attention far from flat."""
    for key, p in sorted(net.named_parameters()):
        parent, last = ("." + key).split(".")[-2:]
        n = torch.randn(p.shape, generator=g)
        with torch.no_grad():
            if last in ("lambda1", "gamma") or last.startswith("lambda_"):
                p.copy_(0.6 + 0.25 * n)
            elif "norm" in parent:
                p.copy_(1 + 0.25 * n if last == "weight" else 0.2 * n)
            elif p.dim() >= 2 and "token" not in key and "pos" not in key and "probe" not in key:
                p.copy_(1.2 * n / p[0].numel() ** 0.5)
            else:
                p.copy_(0.4 * n)
    return net.eval()


def save(m, folder):
    folder.mkdir()
    rows, columns = m.size
    stats = dict(image_mean=[0.5] * m.chans, image_std=[0.25] * m.chans)
    if hasattr(m, "timm"):
        name, args = m.timm
        cfg = dict(m.net.pretrained_cfg, input_size=[3, rows, columns], num_classes=3, crop_pct=1.0, crop_mode="center",
                   interpolation="bicubic", mean=[0.5] * 3, std=[0.25] * 3)
        save_file(m.net.state_dict(), folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(dict(
            architecture=name, num_classes=3, num_features=m.width, global_pool=m.net.global_pool, model_args=args,
            label_names=NAMES, pretrained_cfg=cfg), default=str))
        return
    m.net.save_pretrained(folder, **({"max_shard_size": "20KB"} if m.r.random() < 0.2 else {}))
    if m.r.random() < 0.25 and (folder / "model.safetensors").exists() and not m.net.config.model_type.startswith(("clip", "siglip")):
        save_file({k: v.contiguous() for k, v in m.net.state_dict().items()}, folder / "model.safetensors", metadata={"format": "pt"})
    exact = dict(height=rows, width=columns)
    if m.processor in (tr.BitImageProcessor, tr.CLIPImageProcessor):
        p = m.processor(size={"shortest_edge": min(m.size)}, crop_size=exact, **stats)
    elif m.processor is tr.DeiTImageProcessor:
        p = m.processor(size=exact, crop_size=exact, **stats)
    else:
        p = m.processor(size=exact, **stats)
    p.save_pretrained(folder)


def pictures(m, folder):
    """Two classes' worth of noise in the size that the model takes, and as the model takes it."""
    g = np.random.default_rng(m.seed)
    files, x = [], []
    for split, each in (("train", 2), ("test", 1)):
        for c in NAMES:
            (folder / split / c).mkdir(parents=True)
            for i in range(each):
                a = g.integers(0, 256, (*m.size, m.chans), dtype=np.uint8)
                f = folder / split / c / f"{i}.png"
                Image.fromarray(a if m.chans == 3 else a[:, :, 0]).save(f)
                files.append(f)
                x.append((torch.from_numpy(a).permute(2, 0, 1).float() / 255 - 0.5) / 0.25)
    return files, torch.stack(x)


def rows(m, x):
    """All rows after the last block and its norm."""
    if hasattr(m, "timm"):
        return m.net.forward_features(x)
    net = m.net
    if isinstance(net, (tr.CLIPForImageClassification, tr.SiglipForImageClassification)):
        net = net.vision_model
    elif not m.classes:
        return net(x).last_hidden_state
    return getattr(net, net.base_model_prefix, net)(x).last_hidden_state


def nearly(got, want, what, tolerance=1e-4):
    """The largest difference over the largest of the numbers wanted, refused above the tolerance."""
    got, want = np.asarray(got, dtype=np.float64).ravel(), want.detach().double().flatten().numpy()
    ensure(got.shape == want.shape, f"{what}: {got.size} numbers, want {want.size}")
    d = np.abs(got - want).max() / max(1e-3, np.abs(want).max())
    ensure(d <= tolerance, f"{what}: {d:.3g} apart")
    return d


def logits(m, x):
    y = m.net(x)
    return y if torch.is_tensor(y) else y.logits


def check(m, folder):
    data = WORK / f"combo-{m.seed}-photos"
    save(m, folder)
    files, x = pictures(m, data)
    test = x[6:]
    worst = 0.0
    with torch.no_grad():
        last = rows(m, test)
        shown = {"last": last}
        if m.pooled is not None:
            shown["pooled"] = m.pooled(last)
        if hasattr(m, "projection"):
            shown["projection"] = m.projection(last)
        if hasattr(m, "timm"):
            shown["pooled"] = m.net.forward_head(last, pre_logits=True)
        if not hasattr(m, "timm") or not isinstance(m.net.fc_norm, torch.nn.LayerNorm):
            shown["mean"] = last[:, m.lead:].mean(1)
        for layer, want in shown.items():
            out = WORK / "combo.npy"
            flops("embed", "--model", folder, "--data", data, "--layer", layer, "--output", out)
            ids = (WORK / "combo.npy.ids.txt").read_text().split()
            ensure([i.split("/")[-2] for i in ids] == NAMES, f"{folder}: ids {ids}")
            worst = max(worst, nearly(np.load(out), want, f"{folder} {m.what}: layer {layer}"))
        if m.classes:
            worst = max(worst, nearly(predict(folder, *files), logits(m, x), f"{folder} {m.what}: predict"))
    onnx = WORK / "combo.onnx"
    flops("model", "export", folder, onnx)
    got = onnxruntime.InferenceSession(str(onnx)).run(None, {"pixel_values": test.numpy()})[0]
    with torch.no_grad():
        want = logits(m, test) if m.classes else shown.get("projection", shown["pooled"])
    worst = max(worst, nearly(got, want, f"{folder} {m.what}: ONNX"))
    if m.classes:
        learned(m, folder, data, x[:6])
    if m.resize:
        resized(m, folder)
    return worst


def learned(m, folder, data, x):
    """A step of all tensors is PyTorch's gradient times the rate."""
    config, out = WORK / "combo.yaml", WORK / f"combo-{m.seed}-run"
    config.write_text(TRAIN.format(model=folder, data=data, rate=RATE))
    flops("train", "--config", config, "--output", out)
    torch.nn.functional.cross_entropy(logits(m, x), torch.tensor([0, 0, 1, 1, 2, 2])).backward()
    before = {k: (p.detach().clone(), p.grad) for k, p in m.net.named_parameters()}
    end = out / "checkpoints" / "step-1"
    if hasattr(m, "timm"):
        m.net.load_state_dict(load_file(end / "model.safetensors"))
        after = dict(m.net.named_parameters())
    else:
        after = dict(type(m.net).from_pretrained(end).named_parameters())
    largest = max(g.norm().item() for _, g in before.values() if g is not None)
    for k, (was, grad) in before.items():
        if grad is None or k.endswith(("mask_token", "relative_position_bias_table")) or "dist_token" in k or "register" in k or \
                "reg_token" in k or "distillation_token" in k or "probe" in k or "latent" in k:
            continue  # not among what sites.params chooses
        step = (was - after[k]) / RATE
        # what is left of float32 after the difference of weights
        ensure((step - grad).norm() <= 2e-3 * grad.norm() + 2e-4 * largest + 1e-5 * was.norm() / RATE,
               f"{folder} {m.what}: gradient of {k}: {(step - grad).norm():.3g} of {grad.norm():.3g} apart")


def resized(m, folder):
    """The folder for another size answers as the library that interpolates."""
    n = m.r.randint(1, 6) * m.patch
    if m.grid[0] != m.grid[1]:
        return  # the library takes the old side for a root
    out = WORK / f"combo-{m.seed}-resized"
    flops("model", "export", folder, out, "--image", n)
    net = type(m.net).from_pretrained(out).eval()
    x = torch.randn((2, m.chans, n, n), generator=torch.Generator().manual_seed(m.seed))
    with torch.no_grad():
        nearly(net(x).logits, m.net(x, interpolate_pos_encoding=True).logits, f"{folder} {m.what}: at {n} pixels")


count, first = int(os.environ.get("COMBOS", 28)), int(os.environ.get("COMBOS_SEED", 1))
worst, failed = 0.0, []
for seed in range(first, first + count):
    m = Drawn(random.Random(seed))
    m.seed = seed
    family = FAMILIES[seed % len(FAMILIES)]
    torch.manual_seed(seed)
    family(m)
    if not hasattr(m, "timm"):
        m.net.config._attn_implementation = "eager"
    randomise(m.net, torch.Generator().manual_seed(seed))
    m.what = f"({family.__name__}, seed {seed}, {m.size[0]}x{m.size[1]} of {m.stored})" + (f" {m.timm}" if hasattr(m, "timm") else "")
    try:
        worst = max(worst, check(m, WORK / f"combo-{seed}"))
    except SystemExit:
        failed.append(m.what)
if failed:
    fail("combos: " + "; ".join(failed))
print(f"combos: {count} random models of {len(set(FAMILIES))} families: layers, predictions, gradients and ONNX within {worst:.1e} "
      f"of transformers {tr.__version__} and timm {timm.__version__}")
