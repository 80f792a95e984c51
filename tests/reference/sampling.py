"""Sampling cases from transformers' own logits processors -> tests/fixtures/sampling/cases.json.

The list of processors is the one GenerationMixin builds for a GenerationConfig, so its order is
transformers'. Each case: float32 logits, the tokens so far, the options, and the scores that come out
("kept" lists what is above -infinity). Scores are written so that they read back as the same float32.
"""

import argparse
import json
import pathlib

import numpy as np
import torch
import transformers
from transformers import GenerationConfig, PretrainedConfig
from transformers.generation.utils import GenerationMixin


def processed(logits, history, options):
    """The scores after transformers' processors, in its order, and their names."""
    config = GenerationConfig(**options)
    mixin = GenerationMixin()
    mixin.config = PretrainedConfig(is_encoder_decoder=False)
    ids = torch.tensor([history], dtype=torch.long)
    names = mixin._get_logits_processor(generation_config=config, input_ids_seq_length=len(history),
                                        encoder_input_ids=ids, prefix_allowed_tokens_fn=None,
                                        logits_processor=[], device="cpu")
    scores = names(ids, torch.from_numpy(logits)[None].clone())
    return scores[0].numpy(), [type(p).__name__ for p in names]


def all_cases():
    random = np.random.default_rng(20260611)

    def normal(size, spread=3.0):
        return (spread * random.standard_normal(size)).astype(np.float32)

    def case(name, logits, history=(), **options):
        sampling = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": None,
                    "repetition_penalty": 1.0}
        sampling.update(options)
        return name, np.asarray(logits, dtype=np.float32), list(history), sampling

    ties = np.array([1, 3, 3, 2, 3, 2, 0, -1], dtype=np.float32)
    extreme = np.array([1e30, -1e30, 3e38, -3e38, 0, 1e-30, 88, -88], dtype=np.float32)
    yield case("nothing", normal(16))
    for k in (1, 2, 3, 4, 7, 8, 9, 50):
        yield case(f"top_k {k}, ties", ties, top_k=k)
    for k in (1, 5, 20, 63, 64):
        yield case(f"top_k {k} of 64", normal(64), top_k=k)
    yield case("top_k, all equal", np.zeros(12), top_k=3)
    for p in (0.01, 0.1, 0.3, 0.5, 0.8, 0.9, 0.95, 0.999):
        yield case(f"top_p {p}", normal(48), top_p=p)
    yield case("top_p, all equal", np.zeros(10), top_p=0.55)
    yield case("top_p keeps the largest", [0, 0, 40], top_p=0.001)
    yield case("top_p, two tied tops", [5, 5, 1, 0, -2, -2, -9, 0], top_p=0.2)
    for m in (0.001, 0.05, 0.1, 0.5, 0.9, 1.0):
        yield case(f"min_p {m}", normal(32), min_p=m)
    yield case("min_p, tied tops", [2, 2, 2, 1, 0, 0, -3, 2], min_p=1.0)
    for t in (0.01, 0.3, 0.7, 1.5, 10.0, 100.0):
        yield case(f"temperature {t}", normal(24), temperature=t)
    for penalty in (0.5, 0.9, 1.05, 1.3, 2.0, 10.0):
        yield case(f"repetition penalty {penalty}, both signs", normal(24), (0, 3, 3, 5, 7, 11, 23, 3),
                   repetition_penalty=penalty)
        yield case(f"repetition penalty {penalty}, greedy", normal(16), (1, 2, 1, 15), do_sample=False,
                   repetition_penalty=penalty)
    yield case("repetition penalty of zero scores", [0.0, -0.0, 1, -1], (0, 1, 2, 3), repetition_penalty=1.7)
    yield case("greedy leaves the rest alone", normal(16), (4,), do_sample=False)
    yield case("extreme values", extreme, top_k=3)
    yield case("extreme values, top_p", extreme[4:], top_p=0.9)
    yield case("extreme values, min_p", extreme[4:], min_p=0.1)
    yield case("extreme values, penalised", extreme[:2], (0, 1), repetition_penalty=1.5)
    yield case("one far ahead", [200, 0, 0, 0, -200, 1, 2, 3], top_p=0.9, min_p=0.01, top_k=5)
    yield case("-infinity among them", [1, -np.inf, 0, -np.inf, 2, -1, 0.5, -2], top_p=0.9, top_k=5)
    for i in range(16):
        size = int(random.integers(8, 65))
        yield case(f"all together {i}", normal(size, float(random.uniform(0.5, 6))),
                   random.integers(0, size, 6).tolist(), temperature=round(float(random.uniform(0.3, 2)), 3),
                   top_k=int(random.integers(2, size + 4)), top_p=round(float(random.uniform(0.3, 1)), 3),
                   min_p=round(float(random.uniform(0, 0.3)), 3),
                   repetition_penalty=round(float(random.uniform(0.7, 2)), 3))


def numbers(values):
    """float32 values that JSON can hold: -infinity is null."""
    return [None if np.isneginf(v) else float(v) for v in values]


def main():
    folder = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "sampling"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=folder)
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, logits, history, options in all_cases():
        scores, processors = processed(logits, history, options)
        kept = np.flatnonzero(~np.isneginf(scores)).tolist()
        lines.append(json.dumps({"name": name, "options": options, "history": history, "logits": numbers(logits),
                                 "kept": kept, "scores": numbers(scores), "processors": processors}))
    versions = {"transformers": transformers.__version__, "torch": torch.__version__, "numpy": np.__version__}
    text = '{"versions": %s,\n "cases": [\n  %s\n ]}\n' % (json.dumps(versions), ",\n  ".join(lines))
    (output / "cases.json").write_text(text)
    print(f"{len(lines)} cases")


if __name__ == "__main__":
    main()
