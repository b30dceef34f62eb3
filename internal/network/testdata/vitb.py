"""Writes a ViT-B/16 of random weights and its logits of two images.
usage: vitb.py FOLDER_OF_VIT_PY OUTPUT"""
import json, os, sys
sys.path.insert(0, sys.argv[1])
import torch, vit

out = sys.argv[2]
torch.manual_seed(0)
m = vit.ViT(image=224, patch=16, dim=768, depth=12, heads=12, mlp=3072, classes=10)
vit.save_safetensors(os.path.join(out, 'model.safetensors'), m.tensors(), {'format': 'pt'})
labels = {str(i): f'class {i}' for i in range(10)}
with open(os.path.join(out, 'config.json'), 'w') as f:
    json.dump(dict(model_type='vit', architectures=['ViTForImageClassification'], hidden_size=768, num_hidden_layers=12,
                   num_attention_heads=12, intermediate_size=3072, image_size=224, patch_size=16, num_channels=3,
                   layer_norm_eps=1e-12, qkv_bias=True, hidden_act='gelu', id2label=labels,
                   label2id={v: int(k) for k, v in labels.items()}), f)
x = torch.randn(2, 3, 224, 224)
with torch.no_grad():
    y = m(x)
x.numpy().astype('<f4').tofile(os.path.join(out, 'input.bin'))
y.numpy().astype('<f4').tofile(os.path.join(out, 'logits.bin'))
