"""Makes tests/fixtures/router/aux_loss.json: transformers' load_balancing_loss_func on router logits of several layers,
with and without an attention mask; "raw" of the logits themselves, which GptOssForCausalLM of 5.23 passes, "sparse" of
the scores that its router returned first in older versions (softmax of the chosen logits, 0 elsewhere).

  python aux_loss.py

The logits come from the generator of parity_common.py: layer l of case c is generate(f"{c}.{l}", [tokens, experts], 1,
0, amplitude). Values of the function in f32, as transformers computes it. torch 2.13.0, transformers 5.23.0."""

import json
import pathlib

import torch

import parity_common as common
from transformers.models.gpt_oss.modeling_gpt_oss import load_balancing_loss_func

CASES = [  # name, layers, batch, length, experts, top_k, amplitude, lengths of the rows (padding on the left)
    ("one-layer", 1, 1, 7, 4, 2, 2.0, [7]),
    ("padded", 3, 3, 11, 8, 2, 4.0, [11, 4, 1]),
    ("gpt-oss-20b", 4, 2, 40, 32, 4, 2.0, [40, 23]),
    ("collapsed", 2, 1, 30, 16, 1, 32.0, [30]),
    ("all-chosen", 2, 1, 9, 4, 4, 1.0, [9]),
]


def sparse(logits, top_k):
    best, indices = logits.topk(top_k, -1)
    return torch.zeros_like(logits).scatter_(1, indices, best.softmax(-1))


def main():
    cases = []
    for name, layers, batch, length, experts, top_k, amplitude, lengths in CASES:
        logits = [common.generate(f"{name}.{layer}", [batch * length, experts], 1, 0.0, amplitude)
                  for layer in range(layers)]
        mask = torch.tensor([[0] * (length - n) + [1] * n for n in lengths])
        scores = [sparse(x, top_k) for x in logits]
        case = {"name": name, "layers": layers, "tokens": batch * length, "experts": experts, "top_k": top_k,
                "amplitude": amplitude, "attention_mask": mask.flatten().tolist()}
        for key, inputs in (("raw", logits), ("sparse", scores)):
            case[key] = float(load_balancing_loss_func(tuple(inputs), experts, top_k))
            case[key + "_masked"] = float(load_balancing_loss_func(tuple(inputs), experts, top_k, mask))
        cases.append(case)
    path = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "router" / "aux_loss.json"
    path.parent.mkdir(exist_ok=True)
    versions = {k: v for k, v in common.versions().items() if k in ("torch", "transformers")}
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    path.write_text(f'{{"versions": {json.dumps(versions)},\n "cases": [\n{lines}\n ]}}\n')


main()
