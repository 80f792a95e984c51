#!/usr/bin/env python3
"""PyTorch's times for what `gov bench` measures: InternViT-300M with the projector on one 448x448 tile, and prefill and
decode of a Qwen2-0.5B-shaped decoder, in bf16 and f32, random weights, through transformers.

    python3 benchmarks/compare_pytorch.py [--threads N] [--repetitions R] [--only vision|qwen2]
            [--projected 2880] [--json FILE]

Needs torch and transformers 5. Prints medians; run it in turn with `gov bench` on an idle machine.
"""

import argparse
import json
import statistics
import time

import torch
import transformers
from transformers import InternVLVisionConfig, Qwen2Config, Qwen2ForCausalLM
from transformers.models.internvl.modeling_internvl import InternVLVisionModel


def median_seconds(call, repetitions):
    call()
    times = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def projector(width):
    """InternVL's multi-modal projector after the pixel shuffle: LayerNorm, Linear, GELU, Linear."""
    return torch.nn.Sequential(
        torch.nn.LayerNorm(4096), torch.nn.Linear(4096, width), torch.nn.GELU(), torch.nn.Linear(width, width))


def vision(dtype, repetitions, width):
    config = InternVLVisionConfig(attention_bias=True)  # the defaults are InternViT-300M
    config._attn_implementation = "sdpa"
    tower = InternVLVisionModel(config).to(dtype).eval()
    head = projector(width).to(dtype).eval()
    pixels = torch.randn(1, 3, 448, 448, dtype=dtype)

    @torch.inference_mode()
    def encode():
        hidden = tower(pixel_values=pixels).last_hidden_state[:, 1:]
        hidden = hidden.view(1, 32, 16, 2048).permute(0, 2, 1, 3).reshape(1, 16, 16, 4096).permute(0, 2, 1, 3)
        return head(hidden.reshape(1, 256, 4096))

    return {"vision_ms_per_tile": 1e3 * median_seconds(encode, repetitions)}


def qwen2(dtype, repetitions, prefill, decode, depth):
    config = Qwen2Config(
        vocab_size=151674, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
        num_key_value_heads=2, max_position_embeddings=32768, tie_word_embeddings=True)
    model = Qwen2ForCausalLM(config).to(dtype).eval()
    ids = torch.randint(0, config.vocab_size, (1, max(prefill, depth) + decode + 1))

    @torch.inference_mode()
    def read(count):
        return model(ids[:, :count], use_cache=True, logits_to_keep=1).past_key_values

    @torch.inference_mode()
    def write(cache, start):
        for i in range(decode):
            model(ids[:, start + i:start + i + 1], past_key_values=cache, use_cache=True)

    results = {"prefill_tokens_per_s": prefill / median_seconds(lambda: read(prefill), repetitions)}
    for name, start in (("decode_tokens_per_s", 1), ("decode_tokens_per_s_at_depth", depth)):
        times = []
        for _ in range(repetitions):
            cache = read(start)
            begin = time.perf_counter()
            write(cache, start)
            times.append(time.perf_counter() - begin)
        results[name] = decode / statistics.median(times)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=0, help="default: what torch takes")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--only", choices=["vision", "qwen2"])
    parser.add_argument("--projected", type=int, default=2880,
                        help="width that the projector leads to: gpt-oss's 2880; 896 for InternVL3-1B")
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=32)
    parser.add_argument("--depth", type=int, default=4096)
    parser.add_argument("--json", help="write the results to this file too")
    arguments = parser.parse_args()
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    report = {
        "torch": torch.__version__, "transformers": transformers.__version__, "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(), "results": []}
    for name, dtype in (("bf16", torch.bfloat16), ("f32", torch.float32)):
        if arguments.only != "qwen2":
            report["results"].append({"work": "InternViT-300M + projector", "dtype": name,
                                      **vision(dtype, arguments.repetitions, arguments.projected)})
        if arguments.only != "vision":
            report["results"].append({"work": "Qwen2-0.5B shape", "dtype": name,
                                      **qwen2(dtype, max(1, arguments.repetitions // 2), arguments.prefill,
                                              arguments.decode, arguments.depth)})
        for row in report["results"]:
            if row["dtype"] == name:
                print(row, flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
