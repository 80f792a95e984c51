"""Makes tests/fixtures/llava_inputs.safetensors: a small reference of how LLaVA-1.5 turns ids, labels, mask and
positions into embeddings with pictures in them, written from its description.

    python tests/reference/llava_inputs.py
"""
import torch

from reference_case import save, tensor

IGNORE, IMAGE, HIDDEN, VOCABULARY = -100, -200, 3, 20


def prepare(case, ids, mask, positions, labels, pictures, longest=None, side="right"):
    table = tensor(case, "embed", VOCABULARY, HIDDEN)
    rows = []
    pictures = iter(pictures)
    for b, row in enumerate(ids):
        embeds, targets, seen = [], [], 0
        for i, token in enumerate(row):
            if mask is not None and not mask[b][i]:
                continue
            if token == IMAGE:
                picture = next(pictures)
                embeds += list(picture)
                targets += [IGNORE] * len(picture)
                seen += 1
            else:
                embeds.append(table[token])
                targets.append(labels[b][i] if labels is not None else IGNORE)
        if not seen:
            next(pictures)
        rows.append((embeds[:longest], targets[:longest]))
    length = max(len(targets) for _, targets in rows)
    out = {"embeds": [], "mask": [], "positions": [], "labels": []}
    for embeds, targets in rows:
        pad, count = length - len(targets), len(targets)
        fields = [(embeds, torch.zeros(HIDDEN, dtype=torch.float64), "embeds"), ([1] * count, 0, "mask"),
                  (list(range(count)), 0, "positions"), (targets, IGNORE, "labels")]
        for values, filler, name in fields:
            filling = [filler] * pad
            out[name].append(filling + values if side == "left" else values + filling)
    result = {"embeds": torch.stack([torch.stack(row) for row in out["embeds"]])}
    for name, given in (("mask", mask), ("positions", positions), ("labels", labels)):
        if given is not None:
            result[name] = torch.tensor(out[name])
    return result


def labels_of(ids):
    return [[token + 40 if token >= 0 else IGNORE for token in row] for row in ids]


one = [[1, 5, IMAGE, 6, 7]]
two = [[1, IMAGE, 4, IMAGE, 6, 7], [1, 2, 3, IMAGE, 0, 0]]
mixed = [[1, 2, 3, 4, 5, 6], [IMAGE, 8, 9, IMAGE, IMAGE, 0], [0, 0, 3, 9, 1, IMAGE]]
mixed_mask = [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1]]
everything = dict(mask=True, positions=True, labels=True)
cases = {  # ids, sizes of pictures, what is given, limit, side
    "one": (one, [4], everything, None, "right"),
    "bare": (one, [4], {}, None, "right"),
    "labels-only": (one, [4], dict(labels=True), None, "left"),
    "two": (two, [2, 5, 3], everything, None, "right"),
    "two-left": (two, [2, 5, 3], everything, None, "left"),
    "mixed": (mixed, [3, 2, 1, 4, 2], {**everything, "mask": mixed_mask}, None, "right"),
    "mixed-left": (mixed, [3, 2, 1, 4, 2], {**everything, "mask": mixed_mask}, None, "left"),
    "mixed-cut": (mixed, [3, 2, 1, 4, 2], {**everything, "mask": mixed_mask}, 5, "left"),
    "cut-in-picture": (two, [2, 5, 3], everything, 7, "right"),
    "mask-only": (mixed, [3, 2, 1, 4, 2], dict(mask=mixed_mask), 6, "right"),
    "empty-picture": (two, [0, 5, 3], everything, None, "right"),
    "empty-row": (two, [2, 5, 3], {**everything, "mask": [[1] * 6, [0] * 6]}, None, "left"),
}
results = {}
for case, (ids, sizes, given, limit, side) in cases.items():
    mask = given.get("mask")
    mask = [[1] * len(row) for row in ids] if mask is True else mask
    positions = [list(range(len(row))) for row in ids] if given.get("positions") else None
    labels = labels_of(ids) if given.get("labels") else None
    pictures = [tensor(case, f"picture.{i}", size, HIDDEN) for i, size in enumerate(sizes)]
    for name, value in prepare(case, ids, mask, positions, labels, pictures, limit, side).items():
        results[f"{case}.{name}"] = value
    results[f"{case}.ids"], results[f"{case}.sizes"] = torch.tensor(ids), torch.tensor(sizes)
    results[f"{case}.options"] = torch.tensor([limit or 0, side == "left"], dtype=torch.int64)
    if mask is not None:
        results[f"{case}.mask-in"] = torch.tensor(mask)
save("llava_inputs.safetensors", results, {"cases": " ".join(cases)})
