"""Makes tests/fixtures/image: decoded pixels, resized pixels, tile grids, pixel values and sampled
frames as Pillow and transformers give them. Run with Pillow 13, transformers 5.23, torch, numpy:

    python tests/reference/image_fixtures.py [--output tests/fixtures/image]

Test pictures are drawn by the generator below, which tests/image/picture.hpp repeats in C++, so
that resize and pixel-value fixtures need no stored inputs.
"""

import argparse
import ast
import inspect
import io
import json
import pathlib
import struct
import warnings
import zlib

import numpy as np
import PIL
import torch
import transformers
from PIL import Image
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.got_ocr2 import image_processing_pil_got_ocr2 as got
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

warnings.filterwarnings("ignore")


def picture(height, width, seed):
    """Noise over a gradient with hard edges: a 64-bit LCG, top byte of each state."""
    mask = (1 << 64) - 1
    state = (seed * 0x9E3779B97F4A7C15 + 1) & mask
    out = np.empty((height, width, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            for c in range(3):
                state = (state * 6364136223846793005 + 1442695040888963407) & mask
                noise = state >> 56
                if (x // 7 + y // 5) % 3 == 0:
                    value = noise
                elif (x // 7 + y // 5) % 3 == 1:
                    value = 255 * ((x + y + c) % 2)
                else:
                    value = (3 * x + 5 * y + 40 * c + (noise >> 5)) % 256
                out[y, x, c] = value
    return out


def crc(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


# -- decoding ---------------------------------------------------------------------------------------


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, color, rows, palette=None, transparency=None, interlace=0, before=b""):
    raw = b"".join(b"\0" + row for row in rows)
    out = b"\x89PNG\r\n\x1a\n"
    out += chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace))
    out += before
    if palette is not None:
        out += chunk(b"PLTE", palette)
    if transparency is not None:
        out += chunk(b"tRNS", transparency)
    data = zlib.compress(raw, 9)
    cut = max(1, len(data) // 2)  # two IDAT chunks
    return out + chunk(b"IDAT", data[:cut]) + chunk(b"IDAT", data[cut:]) + chunk(b"IEND", b"")


def pack_bits(values, depth):
    """Rows of samples below 8 bits, most significant first."""
    rows = []
    for row in values:
        bits = "".join(format(int(v), f"0{depth}b") for v in row)
        bits += "0" * (-len(bits) % 8)
        rows.append(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))
    return rows


def encoded_pictures():
    rng = np.random.default_rng(7)
    rgb = picture(19, 23, 3)
    files = {}

    def save(name, image, **options):
        buffer = io.BytesIO()
        image.save(buffer, **options)
        files[name] = buffer.getvalue()

    alpha = rng.integers(0, 256, (19, 23, 1), dtype=np.uint8)
    alpha[:4] = 0
    alpha[4:8] = 255
    save("rgb8.png", Image.fromarray(rgb), format="PNG")
    save("rgba8.png", Image.fromarray(np.concatenate([rgb, alpha], 2), "RGBA"), format="PNG")
    save("grey8.png", Image.fromarray(rgb[..., 0]), format="PNG")
    save("grey_alpha8.png", Image.fromarray(np.concatenate([rgb[..., :1], alpha], 2), "LA"), format="PNG")
    save("palette8.png", Image.fromarray(rgb).quantize(40), format="PNG")
    save("bilevel.png", Image.fromarray(rgb).convert("1"), format="PNG")
    save("one_pixel.png", Image.fromarray(rgb[:1, :1]), format="PNG")
    save("wide_200x1.png", Image.fromarray(picture(1, 200, 4)), format="PNG")
    for depth in (1, 2, 4):
        values = rng.integers(0, 1 << depth, (9, 13))
        files[f"grey{depth}.png"] = png(13, 9, depth, 0, pack_bits(values, depth))
        palette = rng.integers(0, 256, 3 << depth, dtype=np.uint8).tobytes()
        files[f"palette{depth}.png"] = png(13, 9, depth, 3, pack_bits(values, depth), palette)
    values = rng.integers(0, 200, (6, 5), dtype=np.uint8)
    palette = rng.integers(0, 256, 3 * 200, dtype=np.uint8).tobytes()
    opacity = rng.integers(0, 256, 150, dtype=np.uint8).tobytes()
    files["palette_alpha.png"] = png(5, 6, 8, 3, [r.tobytes() for r in values], palette, opacity)
    files["palette_past_end.png"] = png(
        6, 1, 8, 3, [bytes([0, 1, 2, 3, 200, 255])], bytes([10, 20, 30, 40, 50, 60])
    )
    color = rgb[3, 4].astype(">u2").tobytes()
    files["rgb_color_key.png"] = png(23, 19, 8, 2, [r.tobytes() for r in rgb], None, color)
    wide = rng.integers(0, 65536, (7, 9, 3)).astype(">u2")
    files["rgb16.png"] = png(9, 7, 16, 2, [r.tobytes() for r in wide])
    wide = rng.integers(0, 65536, (7, 9, 4)).astype(">u2")
    files["rgba16.png"] = png(9, 7, 16, 6, [r.tobytes() for r in wide])
    wide = rng.integers(0, 65536, (7, 9)).astype(">u2")
    files["grey16.png"] = png(9, 7, 16, 0, [r.tobytes() for r in wide])
    text = chunk(b"tEXt", b"Comment\0a text chunk") + chunk(b"gAMA", struct.pack(">I", 45455))
    files["other_chunks.png"] = png(23, 19, 8, 2, [r.tobytes() for r in rgb], before=text)
    files["interlaced.png"] = interlaced(rgb)

    smooth = np.zeros((37, 50, 3), np.uint8)
    y, x = np.mgrid[0:37, 0:50]
    smooth[..., 0], smooth[..., 1], smooth[..., 2] = 5 * x, 6 * y, 2 * (x + y)
    photo = Image.fromarray(smooth)
    save("baseline.jpg", photo, format="JPEG", quality=92)
    save("subsampled_off.jpg", photo, format="JPEG", quality=92, subsampling=0)
    save("progressive.jpg", photo, format="JPEG", quality=92, progressive=True)
    save("restart.jpg", photo, format="JPEG", quality=92, restart_marker_blocks=2)
    save("grey.jpg", photo.convert("L"), format="JPEG", quality=92)
    save("cmyk.jpg", photo.convert("CMYK"), format="JPEG", quality=95)
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"turned{orientation}.jpg", Image.fromarray(smooth[:16, :24]), format="JPEG", quality=92, exif=exif)
    return files


def interlaced(rgb):
    """Adam7, written by hand: Pillow reads it but does not write it."""
    height, width, _ = rgb.shape
    raw = b""
    for y0, x0, dy, dx in [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]:
        part = rgb[y0::dy, x0::dx]
        if part.size:
            raw += b"".join(b"\0" + row.tobytes() for row in part)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1))
    return out + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def write_decoded(folder):
    """decode.txt: file, width, height, CRC of convert("RGB"), CRC over white; JPEG pixels in .rgb files."""
    lines = []
    (folder / "decode").mkdir(exist_ok=True)
    processor = got.GotOcr2ImageProcessorPil(do_resize=False, do_rescale=False, do_normalize=False)
    for name, data in encoded_pictures().items():
        (folder / "decode" / name).write_bytes(data)
        opened = Image.open(io.BytesIO(data))
        if name.startswith("turned"):
            pixels = np.array(PIL.ImageOps.exif_transpose(opened).convert("RGB"))
        else:
            pixels = np.array(opened.convert("RGB"))
        if name == "grey16.png":  # Pillow clips at 255; the high byte is what the library gives
            high = np.array(opened).astype(np.int64) >> 8
            assert (pixels[..., 0] == np.minimum(np.array(opened), 255)).all()
            pixels = np.repeat(high[..., None], 3, 2).astype(np.uint8)
            white = pixels
        elif name.startswith("turned"):
            white = pixels
        else:
            white = processor(images=Image.open(io.BytesIO(data)))["pixel_values"][0]
            white = np.moveaxis(np.asarray(white), 0, -1).astype(np.uint8)
        height, width = pixels.shape[:2]
        lines.append(f"{name} {width} {height} {crc(pixels):08x} {crc(white):08x}")
        if name.endswith(".jpg"):
            (folder / "decode" / name.replace(".jpg", ".rgb")).write_bytes(pixels.tobytes())
    (folder / "decode.txt").write_text("\n".join(lines) + "\n")


# -- resizing ---------------------------------------------------------------------------------------


def write_resized(folder):
    """resize.txt: seed, source and target sizes, filter, CRC of Pillow's pixels, CRC with the horizontal
    pass first (two calls), largest difference of these from torch's uint8 kernel (torchvision's)."""
    rng = np.random.default_rng(11)
    cases = [  # height, width, target height, target width
        (17, 23, 17, 23), (17, 23, 17, 40), (17, 23, 40, 23), (17, 23, 17, 9), (17, 23, 5, 23),
        (1, 1, 7, 5), (1, 31, 8, 8), (31, 1, 8, 8), (1, 90, 1, 11), (90, 1, 11, 1), (64, 64, 1, 1),
        (2, 2, 33, 47), (3, 200, 28, 28), (200, 3, 28, 28), (50, 70, 28, 56), (70, 50, 56, 28),
        (112, 112, 56, 56), (112, 112, 28, 28), (56, 56, 112, 112), (56, 56, 84, 168), (100, 133, 64, 64),
        (97, 61, 448, 32), (61, 97, 32, 448), (120, 160, 112, 168), (5, 7, 6, 8), (8, 6, 7, 5),
        (33, 32, 32, 33), (255, 13, 16, 255), (13, 255, 255, 16), (48, 64, 42, 56),
    ]  # fmt: skip
    while len(cases) < 64:
        cases.append(tuple(int(v) for v in rng.integers(1, 130, 4)))
    lines = []
    full = []
    for i, (height, width, target_height, target_width) in enumerate(cases):
        source = picture(height, width, i)
        for resample, mode in ((3, "bicubic"), (2, "bilinear")):
            if resample == 2 and i % 3:
                continue
            out = np.array(Image.fromarray(source).resize((target_width, target_height), resample))
            across = Image.fromarray(source).resize((target_width, height), resample)
            across = np.array(across.resize((target_width, target_height), resample))
            tensor = torch.from_numpy(source).permute(2, 0, 1)[None]
            other = torch.nn.functional.interpolate(
                tensor, (target_height, target_width), mode=mode, antialias=True, align_corners=False
            )
            difference = int(np.abs(other[0].permute(1, 2, 0).numpy().astype(int) - across).max())
            lines.append(
                f"{i} {height} {width} {target_height} {target_width} {resample} "
                f"{crc(out):08x} {crc(across):08x} {difference}"
            )
            if i in (5, 23, 25) and resample == 3:
                full.append((i, out))
    (folder / "resize.txt").write_text("\n".join(lines) + "\n")
    for i, out in full:
        (folder / f"resize_{i}.rgb").write_bytes(out.tobytes())
    return max(int(line.split()[-1]) for line in lines)


# -- tiling -----------------------------------------------------------------------------------------


def write_grids(folder):
    """grids.txt: tile height, tile width, min, max, then `height width columns rows` per picture."""
    rng = np.random.default_rng(13)
    sizes = [(int(h), int(w)) for h, w in rng.integers(1, 3000, (1500, 2))]
    sizes += [(448 * a // d, 448 * b // d) for a in range(1, 14) for b in range(1, 14) for d in (1, 2, 3)]
    sizes += [(h, w) for h in range(16, 1000, 61) for w in range(16, 1000, 61)]
    sizes += [(480, 640), (1080, 1920), (1000, 1000), (240, 320), (100, 800), (2000, 1500), (1, 10000), (16384, 82)]
    sizes = list(dict.fromkeys((h, w) for h, w in sizes if h > 0 and w > 0))
    blocks = []
    for tile_height, tile_width, low, high in [
        (448, 448, 1, 12), (448, 448, 1, 6), (448, 448, 1, 4), (448, 448, 3, 9), (56, 56, 1, 6),
        (448, 224, 1, 12), (448, 448, 1, 40), (28, 28, 7, 7),
    ]:  # fmt: skip
        rows = []
        for height, width in sizes:
            columns, tile_rows = got.get_optimal_tiled_canvas((height, width), (tile_height, tile_width), low, high)
            rows.append(f"{height} {width} {columns} {tile_rows}")
        blocks.append(f"{tile_height} {tile_width} {low} {high} {len(rows)}\n" + "\n".join(rows))
    (folder / "grids.txt").write_text("\n".join(blocks) + "\n")
    return len(sizes)


# -- pixel values -----------------------------------------------------------------------------------


def write_pixel_values(folder):
    """pixel_values.txt: a block per case; the config is written as preprocessor_config.json has it."""
    imagenet = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    configs = {
        "internvl": dict(size={"height": 56, "width": 56}, crop_to_patches=True, max_patches=12, **imagenet),
        "one_tile": dict(size={"height": 56, "width": 56}, crop_to_patches=False, **imagenet),
        "clip": dict(size={"height": 28, "width": 42}, crop_to_patches=True, min_patches=2, max_patches=5),
        "bilinear": dict(size={"height": 30, "width": 30}, resample=2, crop_to_patches=True, max_patches=4, **imagenet),
        "no_normalize": dict(size={"height": 28, "width": 28}, do_normalize=False),
        "no_rescale": dict(size={"height": 28, "width": 28}, do_rescale=False, image_mean=[120, 116.5, 104], image_std=[58.4, 57.1, 57.4]),
        "max_one": dict(size={"height": 28, "width": 28}, crop_to_patches=True, max_patches=1, **imagenet),
        "other_factor": dict(size={"height": 28, "width": 28}, rescale_factor=0.00784313725490196, **imagenet),
    }  # fmt: skip
    images = [(60, 80, 1), (100, 37, 2), (1, 90, 3), (56, 56, 4), (3, 3, 5), (130, 70, 6)]
    lines = []
    (folder / "processor").mkdir(exist_ok=True)
    for name, config in configs.items():
        processor = got.GotOcr2ImageProcessorPil(**config)
        (folder / "processor" / f"{name}.json").write_text(processor.to_json_string())
        out = processor(images=[Image.fromarray(picture(*i)) for i in images], return_tensors="np")
        values = np.ascontiguousarray(out["pixel_values"], dtype=np.float32)
        counts = " ".join(str(int(n)) for n in out["num_patches"])
        mean = [np.float32(v) for v in config.get("image_mean", got.OPENAI_CLIP_MEAN)]
        std = [np.float32(v) for v in config.get("image_std", got.OPENAI_CLIP_STD)]
        fused = fused_crc(processor, images, mean, std)
        lines.append(f"{name} {' '.join(map(str, values.shape))} {crc(values):08x} {fused:08x} {counts}")
    (folder / "pixel_values.txt").write_text("\n".join(lines) + "\n")
    sizes = " ".join(f"{h} {w} {s}" for h, w, s in images)
    (folder / "pixel_values_images.txt").write_text(sizes + "\n")
    nested = {
        "image_processor": json.loads(got.GotOcr2ImageProcessorPil(**configs["internvl"]).to_json_string()),
        "image_seq_length": 256,
        "processor_class": "InternVLProcessor",
    }
    (folder / "processor" / "nested.json").write_text(json.dumps(nested, indent=2))


def write_cropped(folder):
    """cropped.txt: a line per case with the shape and the CRC of the pixel values; the processors of CLIP, DINOv2
    and ViT, in small, and what their keys can do beside that."""
    imagenet = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    square = {"height": 28, "width": 28}
    cases = {
        "clip_tower": (CLIPImageProcessorPil, dict(size={"shortest_edge": 28}, crop_size=square)),
        "dinov2_tower": (BitImageProcessorPil, dict(size={"shortest_edge": 32}, crop_size=square, **imagenet)),
        "vit_tower": (ViTImageProcessorPil, dict(size=square, resample=3, **imagenet)),
        "vit_default": (ViTImageProcessorPil, dict(size={"height": 20, "width": 33})),
        "odd_crop": (CLIPImageProcessorPil, dict(size={"shortest_edge": 31}, crop_size={"height": 24, "width": 17})),
        "larger_crop": (CLIPImageProcessorPil, dict(size={"shortest_edge": 20}, crop_size={"height": 45, "width": 26})),
        "fixed_then_crop": (CLIPImageProcessorPil, dict(size={"height": 40, "width": 30}, crop_size=square)),
        "crop_alone": (CLIPImageProcessorPil, dict(do_resize=False, crop_size={"height": 31, "width": 40})),
    }  # fmt: skip
    images = [(60, 80, 1), (100, 37, 2), (1, 90, 3), (56, 56, 4), (3, 3, 5), (130, 70, 6)]
    lines = []
    for name, (kind, config) in cases.items():
        processor = kind(**config)
        (folder / "processor" / f"{name}.json").write_text(processor.to_json_string())
        out = processor(images=[Image.fromarray(picture(*i)) for i in images], return_tensors="np")
        values = np.ascontiguousarray(out["pixel_values"], dtype=np.float32)
        lines.append(f"{name} {' '.join(map(str, values.shape))} {crc(values):08x}")
    alone = CLIPImageProcessorPil(size={"shortest_edge": 19}, do_center_crop=False)
    (folder / "processor" / "shortest_alone.json").write_text(alone.to_json_string())
    for image in images:  # each of a size of its own
        values = np.ascontiguousarray(alone(images=Image.fromarray(picture(*image)), return_tensors="np")["pixel_values"])
        lines.append(f"shortest_alone {' '.join(map(str, values.shape))} {crc(values.astype(np.float32)):08x}")
    (folder / "cropped.txt").write_text("\n".join(lines) + "\n")


def fused_crc(processor, images, mean, std):
    """The torchvision processor's arithmetic on the same resized pixels (it cannot be imported
    without torchvision): mean and std times 1 / rescale_factor in float32, then (x - mean) / std."""
    raw = got.GotOcr2ImageProcessorPil(
        **{**processor.to_dict(), "do_rescale": False, "do_normalize": False, "image_processor_type": None}
    )
    out = raw(images=[Image.fromarray(picture(*i)) for i in images], return_tensors="np")
    pixels = torch.from_numpy(np.ascontiguousarray(out["pixel_values"])).to(torch.float32)
    factor = 1.0 / processor.rescale_factor
    if processor.do_rescale and processor.do_normalize:
        mean_tensor, std_tensor = torch.tensor(mean) * factor, torch.tensor(std) * factor
    else:
        mean_tensor, std_tensor = torch.tensor(mean), torch.tensor(std)
    if processor.do_normalize:
        pixels = (pixels - mean_tensor[:, None, None]) / std_tensor[:, None, None]
    elif processor.do_rescale:
        pixels = pixels * processor.rescale_factor
    return crc(pixels.numpy())


# -- video ------------------------------------------------------------------------------------------


def hf_sampler():
    """InternVLVideoProcessor.sample_frames out of the installed source: its module needs torchvision,
    but the function itself does not, so it is compiled alone."""
    root = pathlib.Path(inspect.getfile(transformers)).parent
    source = (root / "models" / "internvl" / "video_processing_internvl.py").read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == "sample_frames":
            node.decorator_list = []
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
            module = ast.Module(body=[node], type_ignores=[])
            scope = {"torch": torch}
            exec(compile(ast.fix_missing_locations(module), "sample_frames", "exec"), scope)
            return scope["sample_frames"]
    raise RuntimeError("sample_frames is not where it was")


def open_gvlab_index(bound, fps, max_frame, first_index=0, num_segments=32):
    """get_index of OpenGVLab's InternVL model card, restated."""
    start, end = (bound[0], bound[1]) if bound else (-100000, 100000)
    start_index = max(first_index, round(start * fps))
    end_index = min(round(end * fps), max_frame)
    segment = float(end_index - start_index) / num_segments
    return [int(start_index + segment / 2 + np.round(segment * i)) for i in range(num_segments)]


def write_frames(folder):
    """frames.txt: rule and arguments, a colon, the indices (or `error`)."""

    class Metadata:
        def __init__(self, total, fps):
            self.total_num_frames, self.fps = total, fps

    class Processor:
        num_frames, fps, initial_shift = None, None, True

    sample = hf_sampler()
    lines = []

    def hf(total, video_fps, count, fps, shift):
        try:
            frames = sample(Processor(), Metadata(total, video_fps), num_frames=count, fps=fps, initial_shift=shift)
            text = " ".join(str(int(i)) for i in frames)
        except (ValueError, ZeroDivisionError, RuntimeError):
            text = "error"
        shift = "true" if shift is True else "false" if shift is False else shift
        lines.append(f"hf {total} {video_fps} {count or 0} {fps or 0} {shift}:{text}")

    for total in (1, 2, 3, 7, 8, 9, 16, 30, 31, 100, 299, 1000, 4096):
        for count in (1, 2, 3, 4, 7, 8, 16, 32, 64, 100):
            hf(total, 30.0, count, None, True)
            hf(total, 30.0, count, None, False)
        hf(total, 25.0, 5, None, 3)
        hf(total, 25.0, 5, None, 0.75)
        for video_fps, fps in ((30.0, 1), (29.97, 2), (24.0, 0.5), (30.0, 30), (25.0, 24), (30.0, 60)):
            hf(total, video_fps, None, fps, True)
    for total in (1, 2, 5, 8, 30, 31, 99, 100, 1000):
        for fps in (25.0, 29.97):
            for segments in (1, 2, 4, 8, 16, 32):
                for bound in (None, (0, 1), (0.5, 2.25), (1, 3)):
                    try:
                        frames = open_gvlab_index(bound, fps, total - 1, 0, segments)
                        if min(frames) < 0 or max(frames) >= total:
                            raise ValueError
                        text = " ".join(map(str, frames))
                    except ValueError:
                        text = "error"
                    first, last = bound if bound else (-1, -1)
                    lines.append(f"segments {total} {fps} {segments} {first} {last}:{text}")
    for total in (1, 2, 3, 8, 9, 30, 100, 1000):
        for count in (1, 2, 3, 4, 8, 16, 33):
            if count > 1:
                text = " ".join(str(round(i / (count - 1) * (total - 1))) for i in range(count))
            else:
                text = "0"
            lines.append(f"uniform {total} {count}:{text}")
            frames = np.linspace(0, total - 1, count, dtype=int)
            lines.append(f"linspace {total} {count}:{' '.join(map(str, frames))}")
    for total in (1, 2, 9, 100, 1000):
        for video_fps, fps in ((30.0, 1), (29.97, 2), (25.0, 10), (24.0, 7), (12.5, 5), (10, 30)):
            try:  # LLaVA-Video's load_video
                text = " ".join(str(i) for i in range(0, total, round(video_fps / fps)))
            except ValueError:
                text = "error"
            lines.append(f"stride {total} {video_fps} {fps}:{text}")
    (folder / "frames.txt").write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "image"
    parser.add_argument("--output", type=pathlib.Path, default=default)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    write_decoded(folder)
    difference = write_resized(folder)
    sizes = write_grids(folder)
    write_pixel_values(folder)
    write_cropped(folder)
    write_frames(folder)
    (folder / "VERSIONS.txt").write_text(
        f"pillow {PIL.__version__}\ntransformers {transformers.__version__}\ntorch {torch.__version__}\n"
        f"numpy {np.__version__}\nlargest difference of torch's antialiased uint8 resize, horizontal pass first: {difference} level\n"
        f"sizes in grids.txt: {sizes}\n"
    )


if __name__ == "__main__":
    main()
