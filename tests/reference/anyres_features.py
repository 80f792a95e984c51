"""Makes tests/fixtures/projector/anyres_features.safetensors by calling pack_image_features of LlavaNextModel and
LlavaOnevisionModel, and tests/fixtures/projector/anyres_tokens.txt with the processor's counts. What LLaVA-NeXT has
beyond transformers (no unpad, nobase, maxpool2x2, int instead of round) is written out here.

    python tests/reference/anyres_features.py
"""
import math
from types import SimpleNamespace

import numpy as np
import torch
from transformers.image_processing_utils import select_best_resolution
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel, image_size_to_num_patches
from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor
from transformers.models.llava_onevision.modeling_llava_onevision import LlavaOnevisionModel

from reference_case import FIXTURES, save, tensor

torch.set_grad_enabled(False)
VIEW, PATCH, WIDTH = 28, 7, 3
SIDE = VIEW // PATCH
SHORT = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
GRID = [[28 * i, 28 * j] for i in range(1, 5) for j in range(1, 5)]
NEXT = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]


def views(case, size, pairs):
    count = image_size_to_num_patches(size, pairs, VIEW)
    return tensor(case, "input", count, SIDE * SIDE, WIDTH)


def model(pairs):
    vision = SimpleNamespace(image_size=VIEW, patch_size=PATCH)
    return SimpleNamespace(config=SimpleNamespace(vision_config=vision, image_grid_pinpoints=pairs))


def next_model(case, size, pairs, newline=True):
    line = tensor(case, "image_newline", WIDTH) if newline else None
    packed, _ = LlavaNextModel.pack_image_features(model(pairs), [views(case, size, pairs)], torch.tensor([size]),
                                                   "default", line)
    return packed[0]


def onevision(case, size, pairs, most):
    line = tensor(case, "image_newline", WIDTH)
    packed, _ = LlavaOnevisionModel.pack_image_features(model(pairs), [views(case, size, pairs)], torch.tensor([size]),
                                                        line, f"anyres_max_{most}")
    return packed[0]


def original(case, size, pairs, unpad=False, base=True, pool=False, flat=False):
    x = views(case, size, pairs)
    if flat:
        return x.flatten(0, 1)
    height, width = (extent // VIEW for extent in select_best_resolution(size, pairs))
    grid = x[1:].view(height, width, SIDE, SIDE, WIDTH).permute(0, 2, 1, 3, 4).reshape(height * SIDE, width * SIDE, WIDTH)
    if pool:
        grid = torch.nn.functional.max_pool2d(grid.permute(2, 0, 1), 2).permute(1, 2, 0)
    if unpad:
        h, w = grid.shape[:2]
        if size[1] / size[0] > w / h:
            margin = (h - int(size[0] * (w / size[1]))) // 2
            grid = grid[margin : h - margin]
        else:
            margin = (w - int(size[1] * (h / size[0]))) // 2
            grid = grid[:, margin : w - margin]
        line = tensor(case, "image_newline", WIDTH).expand(grid.shape[0], 1, WIDTH)
        grid = torch.cat((grid, line), 1)
    return torch.cat(([x[0]] if base else []) + [grid.reshape(-1, WIDTH)])


results = {}
for i, size in enumerate([(60, 80), (100, 37), (28, 28), (10, 90), (90, 10), (57, 57), (1, 500), (20, 71)]):
    results[f"next.{size[0]}.{size[1]}"] = next_model(f"next.{size[0]}.{size[1]}", size, SHORT)
results["next-no-newline.60.80"] = next_model("next-no-newline.60.80", (60, 80), SHORT, False)
for size, most in [((110, 112), 4), ((110, 112), 9), ((100, 70), 2), ((60, 112), 1), ((112, 30), 3)]:
    case = f"max{most}.{size[0]}.{size[1]}"
    results[case] = onevision(case, size, GRID, most)
for size in [(60, 80), (100, 37)]:
    for name, options in {"spatial": {}, "unpad": dict(unpad=True), "nobase": dict(base=False),
                          "unpad-nobase": dict(unpad=True, base=False), "pool": dict(pool=True),
                          "pool-nobase": dict(pool=True, base=False), "flat": dict(flat=True)}.items():
        case = f"{name}.{size[0]}.{size[1]}"
        results[case] = original(case, size, SHORT, **options)
case = "single"
packed, _ = LlavaNextModel.pack_image_features(model(SHORT), [tensor(case, "input", 1, SIDE * SIDE, WIDTH)],
                                               torch.tensor([(3, 3)]), "default", tensor(case, "image_newline", WIDTH))
results[case] = packed[0]
save("projector/anyres_features.safetensors", results)

# Counts: height, width, transformers' number of image tokens, the original's (pairs taken as (height, width) too).
lines = []
rng = np.random.default_rng(3)
sizes = [(int(h), int(w)) for h, w in rng.integers(1, 2500, (600, 2))]
sizes += [(k * a, k * b) for k in (1, 7, 97, 333) for a in range(1, 10) for b in range(1, 10)]
sizes += [(55, 176), (88, 55), (88, 99), (205, 656), (328, 861), (352, 748), (376, 893)]  # the two rules differ
processor = SimpleNamespace(image_processor=SimpleNamespace(image_grid_pinpoints=NEXT), patch_size=14,
                            num_additional_image_tokens=1)
processor._get_unpadded_features = lambda *arguments: LlavaNextProcessor._get_unpadded_features(processor, *arguments)
different = 0
for height, width in sizes:
    ours = LlavaNextProcessor._get_number_of_features(processor, height, width, 336, 336) - 1
    best = select_best_resolution((height, width), NEXT)
    h, w = best[0] // 14, best[1] // 14
    if width / height > w / h:
        h -= (h - int(height * (w / width))) // 2 * 2
    else:
        w -= (w - int(width * (h / height))) // 2 * 2
    other = 576 + h * (w + 1)
    different += ours != other
    lines.append(f"{height} {width} {ours} {other}")
(FIXTURES / "projector/anyres_tokens.txt").write_text("\n".join(lines) + "\n")
print(len(lines), "counts,", different, "differ")
