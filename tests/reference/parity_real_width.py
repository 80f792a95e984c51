"""One checkpoint at real width for a benchmark-side check; its output is large (about 2.3 GB) and never committed.

InternViT-300M (24 layers, 448x448, patch 14) and its projector to 2880, and one GPT-OSS-20b layer (32 experts, top-4,
64 heads on 8 kv heads) with the vocabulary cut to 1024; random weights stored in bf16. Writes config.json,
model.safetensors and cases/*.safetensors with the tensors of the parity fixtures, computed by transformers in f32
from those weights:
  text       32 tokens, no image
  one-tile   16 tokens, one 448x448 tile (256 image tokens), 16 tokens

  python parity_real_width.py --output DIR [--layer full_attention] [--truth]
"""

import argparse
import pathlib
import time

import torch

import parity_common as common
import parity_make as make

GEOMETRY = {
    "name": "real-width", "storage": "bf16", "seed": 1,
    "vision": {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
        "image_size": [448, 448], "patch_size": [14, 14], "attention_bias": True},
    "text": {
        "vocab_size": 1024, "num_hidden_layers": 1, "num_local_experts": 32, "num_experts_per_tok": 4,
        "layer_types": ["sliding_attention"]},
    "top": {"image_token_id": 1023, "image_seq_length": 256, "tie_word_embeddings": False},
    # Activations of SwiGLU at this width stay in the range that trained models have.
    "gains": {"gate_up_proj": 1.5},
}
CASES = [
    {"name": "text", "rows": ["t32"], "exercises": "32 tokens through one GPT-OSS-20b layer"},
    {"name": "one-tile", "rows": ["t16 i1 t16"], "exercises": "one 448x448 tile through InternViT-300M, 288 tokens"},
]


def make_weights(model, geometry):
    """Fills the model with the generator's values, rounded to bf16, tensor by tensor."""
    for name, parameter in model.named_parameters():
        disk = common.disk_name(name, True)
        offset, amplitude = common.weight_rule(disk, list(parameter.shape), geometry["gains"])
        if parameter.dim() == 3 and parameter.shape[0] == geometry["text"]["num_local_experts"]:
            for expert, slot in enumerate(parameter):  # one expert at a time keeps the memory low
                slot.copy_(common.generate(f"{disk}.{expert}", list(slot.shape), geometry["seed"], offset, amplitude)
                           .to(torch.bfloat16))
        else:
            parameter.copy_(common.generate(disk, list(parameter.shape), geometry["seed"], offset, amplitude)
                            .to(torch.bfloat16))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--layer", choices=["sliding_attention", "full_attention"], default="sliding_attention")
    parser.add_argument("--truth", action="store_true", help="also run in f64 and report HF's own f32 error")
    arguments = parser.parse_args()
    GEOMETRY["text"]["layer_types"] = [arguments.layer]
    (arguments.output / "cases").mkdir(parents=True, exist_ok=True)

    config = common.make_config(GEOMETRY)
    model = common.make_model(config)
    make_weights(model, GEOMETRY)
    print(f"parameters: {sum(p.numel() for p in model.parameters()):,}", flush=True)

    model.to(torch.bfloat16)  # only to store: the run below takes the values back to f32, which is exact
    model.config.dtype = model.config.text_config.dtype = model.config.vision_config.dtype = torch.bfloat16
    model.save_pretrained(arguments.output)
    (arguments.output / "generation_config.json").unlink(missing_ok=True)
    weights = common.disk_tensors(model)
    model = common.make_model(config)
    common.fill(model, weights)
    del weights

    results = []
    for case in CASES:
        inputs, per_tile = make.build_inputs(model, case, 1)
        start = time.perf_counter()
        outputs = make.run(model, inputs)
        seconds = time.perf_counter() - start
        outputs = {n: t.clone() for n, t in outputs.items() if not n.startswith("vision_hidden_states.")
                   or int(n.rsplit(".", 1)[1]) in (0, 1, 12, 24)}
        results.append((case, inputs, per_tile, outputs, seconds))
    truths = [None] * len(results)
    if arguments.truth:
        common.cast(model, torch.float64)
        with common.double_arithmetic():
            truths = [make.run(model, inputs) for _, inputs, _, _, _ in results]
    for (case, inputs, per_tile, outputs, seconds), truth in zip(results, truths):
        metadata = {
            "geometry": GEOMETRY["name"], "case": case["name"], "exercises": case["exercises"],
            "tokens_per_tile": str(per_tile), "versions": repr(common.versions()),
            "hf_seconds": f"{seconds:.2f}", "torch_threads": str(torch.get_num_threads())}
        if truth:
            errors = {}
            for name, value in outputs.items():
                if value.is_floating_point():
                    errors[name] = make.max_rel(value, truth[name], torch.ones(value.shape[0]))
            metadata["f32_vs_f64_max_rel"] = repr(errors["logits"])
            for name in sorted(errors):
                print(f"  {case['name']} {name}: HF f32 against f64 {errors[name]:.2e}")
        gap = make.router_gap(outputs, inputs["attention_mask"], config.text_config.num_experts_per_tok)
        metadata["router_min_gap_rel"] = repr(gap)
        common.write_safetensors(arguments.output / "cases" / f"{case['name']}.safetensors",
                                 {**inputs, **outputs, "position_ids": make.positions(inputs["attention_mask"])},
                                 metadata)
        print(f"{case['name']}: {seconds:.1f} s, router gap {gap:.1e}", flush=True)


if __name__ == "__main__":
    main()
