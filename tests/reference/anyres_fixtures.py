"""Makes tests/fixtures/image/anyres*: LLaVA-NeXT's choice of a resolution and its views as transformers 5.23 has
them (LlavaNextImageProcessorPil on Pillow 13), the original's, restated here, and LlavaImageProcessorPil's square.

    python tests/reference/anyres_fixtures.py
"""
import math
import pathlib

import numpy as np
from PIL import Image
from transformers.image_processing_utils import select_best_resolution
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches

from image_fixtures import crc, picture

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "image"
NEXT = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
LISTS = {
    "next": (336, NEXT),
    "small": (28, [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]),
    "grid": (384, [[384 * i, 384 * j] for i in range(1, 7) for j in range(1, 7)]),
}


def original(width, height, pairs):
    """The original's loop, whose pairs are (width, height); returns (height, width)."""
    best, kept_most, wasted_least = None, 0, math.inf
    for w, h in pairs:
        scale = min(w / width, h / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        if kept > kept_most or (kept == kept_most and w * h - kept < wasted_least):
            best, kept_most, wasted_least = (h, w), kept, w * h - kept
    return best


def write_resolutions():
    """anyres.txt: list name, height, width: transformers' resolution and number of views; the original's."""
    rng = np.random.default_rng(5)
    sizes = [(int(h), int(w)) for h, w in rng.integers(1, 3000, (400, 2))]
    sizes += [(k * a, k * b) for k in (1, 28, 97, 336) for a in range(1, 7) for b in range(1, 7)]
    sizes += [(1, 5000), (5000, 1), (480, 640), (1080, 1920), (336, 336), (337, 336)]
    lines = []
    for name, (view, pairs) in LISTS.items():
        for height, width in sizes:
            best = select_best_resolution((height, width), pairs)
            views = image_size_to_num_patches((height, width), pairs, view)
            other = original(width, height, pairs)
            lines.append(f"{name} {height} {width} {best[0]} {best[1]} {views} {other[0]} {other[1]}")
    (FOLDER / "anyres.txt").write_text("\n".join(lines) + "\n")


def write_pixels():
    """anyres_pixels.txt: config, picture's height, width and seed, views, CRC of its pixel values."""
    square = dict(image_mean=[0.5, 0.25, 0.75], image_std=[0.5, 0.5, 0.5])
    small = LISTS["small"][1]
    configs = {
        "llava_next": LlavaNextImageProcessorPil(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=small),
        "llava_next_crop": LlavaNextImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=small, **square),
        "llava_next_size": LlavaNextImageProcessorPil(
            size={"height": 28, "width": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=small[2:],
            resample=2),
        "llava_pad": LlavaImageProcessorPil(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, do_pad=True),
        "llava_pad_mean": LlavaImageProcessorPil(
            size={"shortest_edge": 30}, crop_size={"height": 28, "width": 28}, do_pad=True, **square),
        "llava_crop": LlavaImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
    }
    pictures = [(60, 80, 1), (100, 37, 2), (1, 90, 3), (28, 28, 4), (3, 3, 5), (131, 70, 6), (57, 57, 7)]
    lines = []
    for name, processor in configs.items():
        (FOLDER / "processor" / f"{name}.json").write_text(processor.to_json_string())
        for height, width, seed in pictures:
            out = processor(images=[Image.fromarray(picture(height, width, seed))], return_tensors="np")
            values = np.ascontiguousarray(out["pixel_values"], dtype=np.float32)
            values = values.reshape(-1, *values.shape[-3:])
            lines.append(f"{name} {height} {width} {seed} {len(values)} {crc(values):08x}")
    (FOLDER / "anyres_pixels.txt").write_text("\n".join(lines) + "\n")


write_resolutions()
write_pixels()
