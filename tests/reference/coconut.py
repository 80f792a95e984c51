"""Makes tests/fixtures/coconut: COCONUT's latent forward and greedy generation on the real transformers.

  python coconut.py [--output DIR]

The algorithm is written here from its definition (Hao et al. 2024; facebookresearch/coconut): a latent token's input
embedding is the last hidden state, after the final norm, of the token before it. Three ways are run and compared:
`cached` (N + 1 passes on the KV cache, one new column each but for the first and the last), `uncached` (N + 1 whole
passes, the k-th latent filled before pass k + 1) and both again in float64. Models and weights are geometries of
parity_spec.json, so that their compiled types serve here too.

A case file has input_ids, attention_mask, position_ids, labels [B, S] (collated: first latents in one column, then padded
at the end), pixel_values, logits [B, S, V] and thoughts [latents of row 0, then of row 1, ...; H] of the cached run,
loss [1] (mean cross-entropy of the next labels), latent_counts [B], and greedy_tokens [n, new]: for each row of the batch,
generated from its tokens up to the last latent and one more (the end marker). Metadata: passes, latent_token_id, versions,
the largest differences between the runs.
"""

import argparse
import json
import pathlib

import torch

import parity_common as common
import parity_make

HERE = pathlib.Path(__file__).resolve().parent
LATENT, START, END, PAD, IGNORED = 61, 60, 62, 0, -100
NEW_TOKENS = 6

# Rows: tN random tokens, iN an image of N tiles, lN start marker, N latents, end marker.
CASES = {
    "gpt2-tiny": {
        "no-latents": ["t9", "t6"],
        "one": ["t7 l1 t4"],
        "three": ["t5 l3 t6"],
        "mixed": ["t8 l3 t3", "t3 l1 t6", "t9", "t5 l2 t2"],
        "long": ["t4 l12 t3", "t9 l7 t2"],
    },
    "qwen2-sliding": {
        "no-latents": ["t12"],
        "one": ["t10 l1 t5"],
        "three": ["t3 l3 t8"],
        "mixed": ["t2 l4 t6", "t11 l3 t1", "t7", "t6 l1 t9"],
        "past-window": ["t9 l9 t4"],
    },
    "gemma-tiny": {  # a thought is not scaled as looked-up rows are
        "three": ["t5 l3 t4"],
        "mixed": ["t6 l3 t2", "t2 l4 t3", "t7"],
    },
    "mpt-odd": {  # ALiBi counts the latents' positions
        "three": ["t5 l3 t4"],
        "mixed": ["t6 l3 t2", "t2 l4 t3", "t7"],
    },
    "mixtral-tiny": {  # each thought is routed; past a window of 6
        "three": ["t5 l3 t4"],
        "mixed": ["t6 l3 t2", "t2 l4 t3", "t7"],
    },
    "vlm-qwen2": {
        "no-latents": ["t3 i1 t4"],
        "image": ["t2 i1 t3 l2 t3"],
        "mixed": ["i1 t4 l3 t2", "t5 l1 t3", "t2 i2 l2 t1", "t8"],
    },
}


# ---------------------------------------------------------------- the algorithm

def merged_embeddings(model, ids, pixel_values):
    """Embeddings of ids with the images' features in their places, computed once."""
    x = model.get_input_embeddings()(ids)
    if pixel_values is not None:
        features = model.get_image_features(pixel_values.to(model.dtype)).pooler_output.flatten(0, 1)
        place = (ids == model.config.image_token_id).unsqueeze(-1).expand_as(x)
        assert place.sum() == features.numel()
        x = x.masked_scatter(place, features.to(x.dtype))
    return x


class Decoder:
    """The language model behind embeddings: hidden states after the final norm, and logits."""

    def __init__(self, model):
        self.head = model.lm_head
        self.body = model.model.language_model if model.config.model_type == "internvl" else model.base_model

    def __call__(self, x, mask, positions, cache=None):
        out = self.body(inputs_embeds=x, attention_mask=mask, position_ids=positions,
                        past_key_values=cache, use_cache=True)
        return out.last_hidden_state, self.head(out.last_hidden_state), out.past_key_values


def latent_columns(ids):
    return [(row == LATENT).nonzero().flatten().tolist() for row in ids]


def cached(model, ids, mask, positions, pixel_values=None):
    decoder, x = Decoder(model), merged_embeddings(model, ids, pixel_values)
    columns = latent_columns(ids)
    count = max(map(len, columns))
    first = min((c[0] for c in columns if c), default=0)
    begin, end = 0, first if count else ids.shape[1]
    cache, logits, thoughts = None, [], [[] for _ in columns]
    for k in range(count + 1):
        hidden, part, cache = decoder(x[:, begin:end], mask[:, :end], positions[:, begin:end], cache)
        logits.append(part)
        if k == count:
            break
        x = x.clone()
        for row, own in enumerate(columns):
            if k < len(own):
                x[row, own[k]] = hidden[row, own[k] - 1 - begin]
                thoughts[row].append(x[row, own[k]])
        begin, end = end, end + 1 if k + 1 < count else ids.shape[1]
    flat = [t for row in thoughts for t in row]
    thoughts = torch.stack(flat) if flat else torch.zeros(0, x.shape[-1], dtype=x.dtype)
    return torch.cat(logits, 1), thoughts, x, count + 1


def uncached(model, ids, mask, positions, pixel_values=None):
    decoder, x = Decoder(model), merged_embeddings(model, ids, pixel_values)
    columns = latent_columns(ids)
    for k in range(max(map(len, columns)) + 1):
        hidden, logits, _ = decoder(x, mask, positions)
        for row, own in enumerate(columns):
            if k < len(own):
                x[row, own[k]] = hidden[row, own[k] - 1]
    return logits


def generate(model, ids, pixel_values, count):
    """One row, whole sequences without a cache. The first token is not looked at for an end; here none ends."""
    decoder = Decoder(model)
    ones = torch.ones_like(ids)
    logits, _, x, _ = cached(model, ids, ones, torch.arange(ids.shape[1])[None], pixel_values)
    tokens, gap = [], 1.0
    for _ in range(count):
        best = logits[0, -1].topk(2)
        gap = min(gap, float((best.values[0] - best.values[1]) / logits[0, -1].abs().max()))
        tokens.append(int(best.indices[0]))
        x = torch.cat([x, model.get_input_embeddings()(torch.tensor([tokens[-1:]]))], 1)
        length = x.shape[1]
        logits = decoder(x, torch.ones(1, length, dtype=torch.long), torch.arange(length)[None])[1]
    return tokens, gap


def collate(rows, labels):
    """First latents in one column; then everything is filled up at the end."""
    firsts = [row.index(LATENT) for row in rows if LATENT in row]
    column = max(firsts, default=0)
    front = [column - row.index(LATENT) if LATENT in row else 0 for row in rows]
    width = max(f + len(row) for f, row in zip(front, rows))

    def padded(values, fill):
        return torch.tensor([[fill] * f + list(v) + [fill] * (width - f - len(v)) for f, v in zip(front, values)])

    return {"input_ids": padded(rows, PAD), "labels": padded(labels, IGNORED),
            "attention_mask": padded([[1] * len(r) for r in rows], 0),
            "position_ids": padded([range(len(r)) for r in rows], 0)}


# ---------------------------------------------------------------- cases

def build_rows(model, descriptions, seed):
    config = model.config
    multimodal = config.model_type == "internvl"
    image_token = config.image_token_id if multimodal else -1
    random = torch.Generator().manual_seed(seed)
    rows, labels, tiles = [], [], []
    for description in descriptions:
        row, ignored, own = [], 0, 0
        for part in description.split():
            count = int(part[1:])
            if part[0] == "i":
                row += [image_token] * (4 * count)
                own += count
            elif part[0] == "l":
                row += [START] + [LATENT] * count + [END]
                ignored = len(row)
            else:
                row += torch.randint(1, START, (count,), generator=random).tolist()
        rows.append(row)
        labels.append([IGNORED] * ignored + row[ignored:])
        tiles.append(torch.randn(own, 3, *config.vision_config.image_size, generator=random) if own else None)
    return rows, labels, tiles


def relative(value, truth, keep=None):
    value, truth = value.double(), truth.double()
    if keep is not None:
        value, truth = value[keep], truth[keep]
    return float((value - truth).abs().max() / truth.abs().max()) if truth.numel() else 0.0


def make_case(model, exact, descriptions):
    for seed in range(1, 200000, 1000):
        rows, labels, tiles = build_rows(model, descriptions, seed)
        batch = collate(rows, labels)
        some = [t for t in tiles if t is not None]
        pixels = torch.cat(some) if some else None
        feed = (batch["input_ids"], batch["attention_mask"], batch["position_ids"], pixels)
        real = batch["attention_mask"].bool()
        logits, thoughts, _, passes = cached(model, *feed)
        with common.double_arithmetic():
            truth, true_thoughts, _, _ = cached(exact, *feed)
        worst = max(relative(logits, truth, real), relative(thoughts, true_thoughts))
        again = relative(uncached(model, *feed), logits, real)
        assert again < 1e-5, again
        greedy, gap = [], 1.0
        for row, own in zip(rows, tiles):
            stop = max(i for i, t in enumerate(row) if t == LATENT) + 2 if LATENT in row else len(row)
            tokens, closest = generate(model, torch.tensor([row[:stop]]), own, NEW_TOKENS)
            greedy.append(tokens)
            gap = min(gap, closest)
        odd = {LATENT, getattr(model.config, "image_token_id", LATENT)}
        if worst < parity_make.F32_ERROR and gap > parity_make.GREEDY_GAP and not odd & set(sum(greedy, [])):
            break
    else:
        raise SystemExit("no seed without near-ties")
    # Each row alone has the numbers that it has in the batch.
    for b, (row, own) in enumerate(zip(rows, tiles)):
        ids = torch.tensor([row])
        alone = cached(model, ids, torch.ones_like(ids), torch.arange(len(row))[None], own)[0]
        assert relative(alone[0], logits[b][real[b]]) < 1e-5
    shifted = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten())
    tensors = {**batch, "logits": logits, "thoughts": thoughts, "loss": shifted.reshape(1),
               "latent_counts": torch.tensor([r.count(LATENT) for r in rows]), "greedy_tokens": torch.tensor(greedy)}
    if pixels is not None:
        tensors["pixel_values"] = pixels
    metadata = {"passes": str(passes), "latent_token_id": str(LATENT), "rows": json.dumps(descriptions), "seed": str(seed),
                "f32_vs_f64_max_rel": repr(worst), "cached_vs_uncached_max_rel": repr(again),
                "greedy_min_gap_rel": repr(gap), "versions": json.dumps(common.versions(), sort_keys=True)}
    return tensors, metadata


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=HERE.parent / "fixtures" / "coconut")
    arguments = parser.parse_args()
    spec = json.loads((HERE / "parity_spec.json").read_text())
    for geometry in spec["geometries"]:
        cases = CASES.get(geometry["name"], {})
        if not cases:
            continue
        config = common.make_config(geometry)
        values, _, _ = parity_make.make_values(geometry, config)
        models = parity_make.Models(config, values)
        folder = arguments.output / geometry["name"]
        folder.mkdir(parents=True, exist_ok=True)
        for name, descriptions in cases.items():
            common.forget_lengths(models.f32)
            tensors, metadata = make_case(models.f32, models.f64, descriptions)
            common.write_safetensors(folder / f"{name}.safetensors", tensors, metadata)
            print(f"{geometry['name']:16} {name:12} {str(list(tensors['input_ids'].shape)):10} passes {metadata['passes']:3}"
                  f" f32/f64 {float(metadata['f32_vs_f64_max_rel']):.1e}"
                  f" uncached {float(metadata['cached_vs_uncached_max_rel']):.1e}"
                  f" gap {float(metadata['greedy_min_gap_rel']):.1e} seed {metadata['seed']}", flush=True)


if __name__ == "__main__":
    main()
