"""Makes tests/fixtures/parity/llava-gpt2: LlavaGpt2 around transformers' Dinov2Model and GPT2LMHeadModel, with the
packer, the projector and the positions of packers.py. No class of it is in transformers. Weights are generated
(parity_common.py) and described in weights.json, under the names of LLaVA's own repositories.

    python tests/reference/llava_gpt2.py
"""

import json
import pathlib
import re

import torch
from torch import nn
from transformers import Dinov2Config, Dinov2Model, GPT2Config, GPT2LMHeadModel

import packers
import parity_common as common
import parity_make

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "fixtures/parity/llava-gpt2"
SEED = 96
GPT2 = {"vocab_size": 48, "n_positions": 64, "n_embd": 20, "n_layer": 2, "n_head": 2, "layer_norm_epsilon": 1e-5,
        "activation_function": "gelu_new", "bos_token_id": None, "eos_token_id": None}
TOWER = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2, "image_size": 48,
         "patch_size": 8}
OWN = {"num_frames": 4, "mm_projector_type": "mlp2x_gelu", "mm_projector_hidden_size": 28, "mm_packer_type": "tracks",
       "mm_packer_order": "pack_first", "mm_packer_attention": "window", "mm_packer_fast": [4, 1, 2],
       "mm_packer_slow": [2, 2, 2], "mm_packer_grid": 4, "mm_packer_hidden_size": 16, "mm_packer_num_heads": 2,
       "mm_num_positions": 10}
MARKERS = ["im_start", "im_patch", "im_end", "vid_start", "vid_patch", "vid_end", "slow_vid_start", "slow_vid_end"]
ID = {name: GPT2["vocab_size"] - len(MARKERS) + i for i, name in enumerate(MARKERS)}
SIZE = 24  # pixels of a frame's side: 3x3 patches, which the packer resizes to 4x4
RULES = [["lambda1$", 0.5, 0.5]]
CASES = [
    ("one-video", ["t3 v t4"], "place-holders of both tracks, markers overwritten"),
    ("text-only", ["t9"], "no visuals"),
    ("image", ["t2 i t5"], "one frame: temporal row 0, both tracks in one span"),
    ("two-videos", ["t1 v t2 v t3"], "order of the videos"),
    ("image-and-video", ["i v t2 i t1"], "visuals of two kinds, one behind the other and at the front"),
    ("left-padding", ["t4 v t3", "t6", "i t2"], "rows of unequal length, visuals of each its own"),
]


def count(grid):
    return grid[0] * grid[1] * grid[2]


class LlavaGpt2(nn.Module):
    def __init__(self):
        super().__init__()
        width, text = TOWER["hidden_size"], GPT2["n_embd"]
        self.language = GPT2LMHeadModel(GPT2Config(**GPT2, attn_implementation="eager"))
        self.vision_tower = Dinov2Model(Dinov2Config(**TOWER, attn_implementation="eager"))
        self.vision_resampler = packers.Tracks(
            width, OWN["mm_packer_hidden_size"], OWN["mm_packer_num_heads"], tuple(OWN["mm_packer_fast"]),
            tuple(OWN["mm_packer_slow"]), OWN["mm_packer_grid"])
        inner = OWN["mm_projector_hidden_size"]
        self.mm_projector = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, text))
        self.tables = packers.Tables(text, OWN["num_frames"], OWN["mm_num_positions"])
        self.eval()

    def named(self):
        """Pairs of a name in LLaVA's checkpoints and the parameter."""
        for name, parameter in self.language.named_parameters():
            if name != "lm_head.weight":  # tied
                yield name, parameter
        for name, parameter in self.vision_tower.named_parameters():
            yield "transformer.vision_tower.vision_tower." + spelled(name), parameter
        rename = packers.prefixed(self.vision_resampler)
        for name, parameter in self.vision_resampler.named_parameters():
            yield "transformer.vision_resampler." + rename(name), parameter
        for name, parameter in self.mm_projector.named_parameters():
            yield "transformer.mm_projector." + name, parameter
        for name, parameter in self.tables.named_parameters():
            yield "transformer." + name, parameter

    def features(self, frames):
        """[frames, 3, height, width] -> [tokens, n_embd]"""
        patches = self.vision_tower(frames).last_hidden_state[:, 1:]
        side = frames.shape[-1] // TOWER["patch_size"]
        fine = (frames.shape[0], side, side)
        tokens = self.mm_projector(self.vision_resampler(patches.flatten(0, 1), fine))
        grids = [OWN["mm_packer_fast"], OWN["mm_packer_slow"]]
        if fine[0] == 1:
            grids = [[1, *grid[1:]] for grid in grids]
        cut = count(grids[0])
        return torch.cat((self.tables(tokens[:cut], grids[0]), self.tables(tokens[cut:], grids[1])))

    def embeds(self, ids, features):
        """ids [T] with place-holders; features of each visual in order."""
        x = self.language.transformer.wte(ids).clone()
        at = 0
        for rows in features:
            while int(ids[at]) not in (ID["im_start"], ID["vid_start"]):
                at += 1
            x[at:at + len(rows)] = rows
            at += len(rows)
        return x

    def batch(self, inputs):
        """Embeddings [B, T, n_embd] and all features."""
        features, frame, visual, rows = [], 0, 0, []
        for frames in inputs["frames"].tolist() if "frames" in inputs else []:
            pixels = inputs["pixel_values"][frame:frame + frames]
            features.append(self.features(pixels.to(next(self.parameters()).dtype)))
            frame += frames
        for ids, own in zip(inputs["input_ids"], inputs["visuals"].tolist()):
            rows.append(self.embeds(ids, features[visual:visual + own]))
            visual += own
        return torch.stack(rows), features


def spelled(name):
    for ours, theirs in (("q_proj", "attention.query"), ("k_proj", "attention.key"), ("v_proj", "attention.value"),
                         ("o_proj", "output.dense")):
        name = name.replace(f".attention.{ours}.", f".attention.{theirs}.")
    return name


def placeholders(kind):
    def span(start, patch, end, length):
        return [ID[start]] + [ID[patch]] * (length - 2) + [ID[end]]

    fast, slow = OWN["mm_packer_fast"], OWN["mm_packer_slow"]
    if kind == "i":
        return span("im_start", "im_patch", "im_end", count([1, *fast[1:]]) + count([1, *slow[1:]]))
    return span("vid_start", "vid_patch", "vid_end", count(fast)) + span(
        "slow_vid_start", "vid_patch", "slow_vid_end", count(slow))


def build_inputs(rows, seed):
    random = torch.Generator().manual_seed(seed)
    ids, frames, visuals = [], [], []
    for row in rows:
        line, before = [], len(frames)
        for part in row.split():
            if part[0] == "t":
                line += torch.randint(0, GPT2["vocab_size"] - len(MARKERS), (int(part[1:]),), generator=random).tolist()
            else:
                line += placeholders(part)
                frames.append(1 if part == "i" else OWN["num_frames"])
        ids.append(line)
        visuals.append(len(frames) - before)
    width = max(map(len, ids))
    inputs = {"input_ids": torch.tensor([[0] * (width - len(line)) + line for line in ids]),
              "attention_mask": torch.tensor([[0] * (width - len(line)) + [1] * len(line) for line in ids]),
              "visuals": torch.tensor(visuals)}
    if frames:
        inputs["frames"] = torch.tensor(frames)
        inputs["pixel_values"] = torch.randn(sum(frames), 3, SIZE, SIZE, generator=random)
    return inputs


def run(model, inputs):
    embeds, features = model.batch(inputs)
    result = model.language(inputs_embeds=embeds, attention_mask=inputs["attention_mask"],
                            position_ids=parity_make.positions(inputs["attention_mask"]), use_cache=False,
                            output_hidden_states=True)
    out = {f"hidden_states.{layer}": state for layer, state in enumerate(result.hidden_states)}
    if features:
        out["image_features"] = torch.cat(features)
    return {**out, "logits": result.logits}


def greedy(model, inputs, steps):
    """Uncached: every step embeds and reads the whole sequence again."""
    feed, tokens, gap = dict(inputs), [], 1.0
    for _ in range(steps):
        logits = run(model, feed)["logits"][:, -1]
        best = logits.topk(2).values
        gap = min(gap, float(((best[:, 0] - best[:, 1]) / logits.abs().amax(-1)).min()))
        tokens.append(logits.argmax(-1, keepdim=True))
        feed["input_ids"] = torch.cat([feed["input_ids"], tokens[-1]], -1)
        feed["attention_mask"] = torch.cat([feed["attention_mask"], torch.ones_like(tokens[-1])], -1)
    return torch.cat(tokens, -1), gap


def build(values, dtype=torch.float32):
    model = LlavaGpt2()
    for name, parameter in model.named():
        parameter.copy_(values[name])
    return model.to(dtype)


def main():
    (FOLDER / "cases").mkdir(parents=True, exist_ok=True)
    values, rules = {}, {}
    for name, parameter in LlavaGpt2().named():
        offset, amplitude = common.weight_rule(name, list(parameter.shape), rules=RULES)
        rules[name] = {"shape": list(parameter.shape), "offset": offset, "amplitude": amplitude}
        values[name] = common.generate(name, list(parameter.shape), SEED, offset, amplitude)
    rounded = {name: value.to(torch.bfloat16).float() for name, value in values.items()}
    f32, f64 = build(values), build(values, torch.float64)
    bf16, f64_of_bf16 = build(rounded, torch.bfloat16), build(rounded, torch.float64)

    config = {"architectures": ["LlavaGPT2ForCausalLM"], "model_type": "llava_gpt2", "dtype": "float32", **GPT2,
              "tie_word_embeddings": True, "mm_hidden_size": TOWER["hidden_size"],
              "mm_vision_select_layer": -2, "mm_vision_select_feature": "patch",
              "vision_config": {"model_type": "dinov2", **TOWER}, **OWN,
              **{f"{name}_token_id": number for name, number in ID.items()}}
    (FOLDER / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    about = {"generator": "value = offset + amplitude * u, see tests/reference/parity_common.py", "seed": SEED,
             "tensors": rules, "first_values": {n: values[n].flatten()[:3].tolist() for n in sorted(values)[:4]}}
    text = re.sub(r"\[[^\]]*\]|\{ *\n {3}[^{}]*\}", lambda m: re.sub(r"\s+", " ", m[0]), json.dumps(about, indent=1))
    (FOLDER / "weights.json").write_text(text + "\n")

    for case, rows, exercises in CASES:
        for seed in range(1, 100001, 1000):
            inputs = build_inputs(rows, seed)
            mask = inputs["attention_mask"]
            outputs, truth = run(f32, inputs), run(f64, inputs)
            tokens, gap = greedy(f32, inputs, 8)
            worst = {n: parity_make.max_rel(v, truth[n], mask if v.shape[:2] == mask.shape else torch.ones(v.shape[0]))
                     for n, v in outputs.items()}
            clear = not any((tokens == number).any() for number in ID.values())
            if gap >= parity_make.GREEDY_GAP and clear and max(worst.values()) < parity_make.F32_ERROR:
                break
        else:
            raise SystemExit(f"{case}: no seed without near-ties")
        embeds, _ = f32.batch(inputs)
        cached = f32.language.generate(inputs_embeds=embeds, attention_mask=mask, do_sample=False, max_new_tokens=8,
                                       pad_token_id=0)
        assert torch.equal(tokens, cached[:, -8:]), "cached != uncached"
        nmse = parity_make.nmse(run(bf16, inputs)["logits"], run(f64_of_bf16, inputs)["logits"], mask)
        tensors = {**inputs, **outputs, "position_ids": parity_make.positions(mask), "greedy_tokens": tokens,
                   "truth_logits_last": truth["logits"][:, -1]}
        metadata = {"geometry": "llava-gpt2", "case": case, "exercises": exercises, "rows": json.dumps(rows),
                    "seed": str(seed), "versions": json.dumps(common.versions(), sort_keys=True),
                    "bf16_nmse_logits": repr(nmse), "f32_vs_f64_max_rel": repr(worst["logits"]),
                    "f32_vs_f64_max_rel_any_tensor": repr(max(worst.values())), "greedy_min_gap_rel": repr(gap)}
        common.write_safetensors(FOLDER / "cases" / f"{case}.safetensors", tensors, metadata)
        print(f"{case:20} {str(list(mask.shape)):10} f32/f64 any {max(worst.values()):.1e} bf16 nmse {nmse:.1e}"
              f" gap {gap:.1e} seed {seed}", flush=True)


if __name__ == "__main__":
    main()
