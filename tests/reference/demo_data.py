"""Scenes of real handwritten digits, questions about them, and the small tokenizer of the demo.

A scene is a sheet of square cells (columns x rows); a cell holds one digit or none. Reading order is row by row
from the top, each row from left to right. Sheets are sized so that InternVL's tiling gives one tile a cell, except
the small 2x2 sheet, which is a single tile; so no digit is cut by a tile's edge. The digits are the 8x8 scans of
`sklearn.datasets.load_digits`; 30 of each class are held out and never seen in training.
"""

import json

import numpy as np
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

TILE, PATCH, TOKENS_PER_TILE, MAX_TILES = 48, 8, 9, 6
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
SYSTEM = "You read handwritten digits."
VOCAB_SIZE = 448
SPECIAL = ["<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>", "<|start|>", "<|end|>",
           "<|message|>", "<|call|>", "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>",
           "<box>", "</box>", "<video>"]
O200K = ("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
         "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
         "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"
         "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
QUESTIONS = {
    "which": ["Which digits are shown?", "What digits do you see?", "Read the digits.",
              "Which digits are in the picture?", "Name the digits."],
    "order": ["In which order do the digits stand?", "List the digits in reading order.",
              "Which digits are shown, from first to last?", "Read the digits row by row."],
    "count": ["How many digits are there?", "How many digits do you see?", "Count the digits."],
    "largest": ["What is the largest digit?", "Which digit is the largest?", "Name the highest digit."],
    "sum": ["What is the sum of the digits?", "Add up the digits.", "What do the digits add up to?"],
}
# (columns, rows, smallest cell, largest cell in pixels, tiles across, tiles down)
SHEETS = [(1, 1, 32, 64, 1, 1), (2, 2, 24, 33, 1, 1)] + [
    (c, r, 30, 60, c, r) for c, r in
    [(2, 1), (1, 2), (3, 1), (1, 3), (4, 1), (1, 4), (5, 1), (1, 5), (6, 1), (3, 2), (2, 3)]] + [(2, 2, 37, 60, 2, 2)]


def answer(kind, digits):
    if kind in ("which", "order"):
        return " ".join(map(str, digits))
    if kind == "count":
        return str(len(digits))
    if kind == "largest":
        return str(max(digits))
    return " + ".join(map(str, digits)) + (f" = {sum(digits)}" if len(digits) > 1 else "")


def ask(rng, digits, kinds):
    kind = kinds[rng.integers(len(kinds))]
    phrasing = QUESTIONS[kind]
    return kind, phrasing[rng.integers(len(phrasing))], answer(kind, digits)


def load_glyphs():
    """Two lists of (label, 12x12 uint8 glyph with an empty border): training and held out."""
    from sklearn.datasets import load_digits
    data = load_digits()
    order = np.random.default_rng(20240601).permutation(len(data.target))
    train, heldout, kept = [], [], [0] * 10
    for i in order:
        label = int(data.target[i])
        glyph = np.zeros((12, 12), np.uint8)
        glyph[2:10, 2:10] = np.minimum(data.images[i] * 16, 255).astype(np.uint8)
        if kept[label] < 30:
            kept[label] += 1
            heldout.append((label, glyph))
        else:
            train.append((label, glyph))
    return train, heldout


def tile_grid(width, height):
    """InternVL's choice of (columns, rows) of tiles, as GotOcr2ImageProcessor makes it."""
    best, best_diff = (1, 1), float("inf")
    grids = [(w, h) for w in range(1, MAX_TILES + 1) for h in range(1, MAX_TILES + 1) if w * h <= MAX_TILES]
    for w, h in sorted(grids, key=lambda g: g[0] * g[1]):
        diff = abs(width / height - w / h)
        if diff < best_diff or (diff == best_diff and width * height > 0.5 * TILE * TILE * w * h):
            best, best_diff = (w, h), diff
    return best


def tiles_of(pixels):
    """uint8 [N, TILE, TILE, 3]: the resized picture cut row by row, and a thumbnail when there is more than one."""
    columns, rows = tile_grid(pixels.shape[1], pixels.shape[0])
    picture = Image.fromarray(pixels)
    big = np.asarray(picture.resize((columns * TILE, rows * TILE), Image.BICUBIC))
    cut = big.reshape(rows, TILE, columns, TILE, 3).swapaxes(1, 2).reshape(-1, TILE, TILE, 3)
    if len(cut) > 1:
        cut = np.concatenate([cut, np.asarray(picture.resize((TILE, TILE), Image.BICUBIC))[None]])
    return cut


def warp(rng, glyph, size, wild):
    """The glyph as float alpha [size, size], turned, sheared and stretched a little."""
    turn = np.deg2rad(rng.uniform(-8, 8) * wild)
    shear = rng.uniform(-0.12, 0.12) * wild
    sx, sy = 9.0 / size * (1 + rng.uniform(-0.1, 0.1, 2) * wild)
    c, s = np.cos(turn), np.sin(turn)
    a, b, d, e = c * sx, (s + shear) * sx, -s * sy, c * sy
    h = size / 2
    out = Image.fromarray(glyph).transform((size, size), Image.AFFINE,
                                           (a, b, 6 - (a + b) * h, d, e, 6 - (d + e) * h), Image.BICUBIC)
    return np.clip(np.asarray(out, np.float32) * (rng.uniform(0.9, 1.4) / 255), 0, 1)


def draw(rng, glyphs, counts, wild=1.0):
    """One scene: (pixels uint8 [H, W, 3], digits in reading order, their centres (x, y) as fractions, grid)."""
    n = int(rng.choice(counts))
    sheets = [s for s in SHEETS if n <= s[0] * s[1] <= n + 2]
    columns, rows, low, high, across, down = sheets[rng.integers(len(sheets))]
    cell = int(rng.integers(low, high + 1))
    width, height = columns * cell, rows * cell
    extra = int(rng.integers(0, 4))
    if tile_grid(width + extra, height) == (across, down):
        width += extra
    ground = rng.uniform(0, 255, 3)
    bright = ground @ [0.299, 0.587, 0.114]
    ink = rng.uniform(0, 255, 3)
    while abs(ink @ [0.299, 0.587, 0.114] - bright) < 80:
        ink = rng.uniform(0, 255, 3)
    canvas = np.empty((height, width, 3), np.float32)
    canvas[:] = ground
    if rng.random() < 0.4:
        slope = np.linspace(-1, 1, width)[None, :, None] * rng.uniform(-25, 25, 3)
        canvas += slope + np.linspace(-1, 1, height)[:, None, None] * rng.uniform(-25, 25)
    filled = np.sort(rng.permutation(columns * rows)[:n])
    digits, centres = [], []
    for place in filled:
        label, glyph = glyphs[rng.integers(len(glyphs))]
        size = int(cell * rng.uniform(0.62, 0.9))
        free = cell - size
        x = (place % columns) * cell + int(rng.integers(0, free + 1))
        y = (place // columns) * cell + int(rng.integers(0, free + 1))
        alpha = warp(rng, glyph, size, wild)[:, :, None]
        colour = np.clip(ink + rng.uniform(-20, 20, 3), 0, 255).astype(np.float32)
        patch = canvas[y:y + size, x:x + size]
        patch += alpha * (colour - patch)
        digits.append(label)
        centres.append(((x + size / 2) / width, (y + size / 2) / height))
    if rng.random() < 0.35 * wild:
        canvas += rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(2, 2 + 5 * wild))
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), digits, centres, (across, down)


def token_labels(digits, centres, grid):
    """Class of the digit centred in each visual token, 10 for none, -100 where a thumbnail is too coarse."""
    across, down = grid
    tiles = across * down
    labels = np.full((tiles + (tiles > 1), TOKENS_PER_TILE), 10, np.int64)
    for digit, (x, y) in zip(digits, centres):
        tx, ty = min(int(x * across), across - 1), min(int(y * down), down - 1)
        u, v = int((x * across - tx) * 3), int((y * down - ty) * 3)
        labels[ty * across + tx, min(v, 2) * 3 + min(u, 2)] = digit
        if tiles > 1:
            labels[tiles, min(int(y * 3), 2) * 3 + min(int(x * 3), 2)] = digit
    if max(grid) > 2:
        labels[tiles] = -100
    return labels


def prompt_text(question, tiles):
    image = "<img>" + "<IMG_CONTEXT>" * (TOKENS_PER_TILE * tiles) + "</img>\n" if tiles else ""
    return (f"<|start|>system<|message|>{SYSTEM}<|end|><|start|>user<|message|>{image}{question}<|end|>"
            "<|start|>assistant")


def reply_text(text):
    return f"<|channel|>final<|message|>{text}<|return|>"


def make_tokenizer():
    """Byte-level BPE with the o200k split, trained on this demo's own sentences; the fields are gpt-oss's."""
    split = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(O200K), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)])
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = split
    words = [SYSTEM, "system", "user", "assistant", "final", "0 1 2 3 4 5 6 7 8 9 + ="]
    corpus = words * 200 + [q for kind in QUESTIONS.values() for q in kind] * 50
    corpus += [str(n) for n in range(46)] * 50
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE - len(SPECIAL), show_progress=False, min_frequency=1,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(corpus, trainer)
    fields = json.loads(tokenizer.to_str())
    fields["model"]["ignore_merges"] = True
    tokenizer = Tokenizer.from_str(json.dumps(fields))
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=True, trim_offsets=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer
