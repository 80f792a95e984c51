"""Makes tests/fixtures/projector/video_pool.safetensors: LlavaOnevisionModel.apply_pooling and LlavaNextVideoPooler of
transformers, with image_newline where LLaVA-NeXT puts it.

    python tests/reference/video_pool.py
"""
from types import SimpleNamespace

import torch
from transformers.models.llava_next_video.modeling_llava_next_video import LlavaNextVideoPooler
from transformers.models.llava_onevision.modeling_llava_onevision import LlavaOnevisionModel

from reference_case import save, tensor

torch.set_grad_enabled(False)
WIDTH = 3
results = {}
for case, frames, side, mode, stride, newline in [
    ("bilinear-one", 2, 5, "bilinear", 2, "one_token"),
    ("bilinear-grid", 3, 6, "bilinear", 2, "grid"),
    ("average-frame", 3, 4, "average", 2, "frame"),
    ("average-none", 2, 6, "average", 3, "no_token"),
    ("max-one", 1, 6, "max", 2, "one_token"),
    ("max-grid", 2, 9, "max", 4, "grid"),
    ("whole-frame", 2, 3, "bilinear", 1, "frame"),
]:
    x = tensor(case, "input", frames, side * side, WIDTH)
    vision = SimpleNamespace(image_size=7 * side, patch_size=7, hidden_size=WIDTH)
    if stride == 1:
        pooled = x
    elif mode == "bilinear":
        pooled = LlavaOnevisionModel.apply_pooling(SimpleNamespace(config=SimpleNamespace(vision_config=vision)), x)
    else:
        config = SimpleNamespace(vision_config=vision, spatial_pool_mode=mode, spatial_pool_stride=stride)
        pooled = LlavaNextVideoPooler(config)(x)
    line = tensor(case, "image_newline", WIDTH)
    rows = int(pooled.shape[1] ** 0.5)
    if newline == "grid":
        pooled = pooled.reshape(-1, rows, WIDTH)
    if newline in ("grid", "frame"):
        pooled = torch.cat((pooled, line.expand(len(pooled), 1, WIDTH)), 1)
    pooled = pooled.reshape(-1, WIDTH)
    results[case] = torch.cat((pooled, line[None])) if newline == "one_token" else pooled
save("projector/video_pool.safetensors", results)
