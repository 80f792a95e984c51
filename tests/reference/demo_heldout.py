"""Held-out scenes of the demo, and what transformers answers to them: questions, pictures, expected tokens, scores.

Scenes hold only digits that no training step saw, and none is left out: `heldout.safetensors` has the first --scenes
of one seed as PNG bytes; `pictures/` the first scene of another seed for each wanted tiling. Answers are made in f32
with eager attention, greedily, by the real image processor and model classes reading the packaged folder. JPEG
pictures are fed as stb_image decodes them (a few lines of C compiled here), as libjpeg's pixels differ by some levels.
"""

import argparse
import collections
import io
import json
import pathlib
import platform
import subprocess
import tempfile

import numpy as np
import PIL
import safetensors
import sklearn
import tokenizers
import torch
import transformers
from PIL import Image
from safetensors.numpy import save_file
from transformers import AutoModelForImageTextToText, AutoTokenizer
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

import demo_data as data

WILD = 0.6  # held-out digits are bent less than training ones
SEED_SCENES, SEED_PICTURES = 20240701, 20240702
PICTURES = [((1, 1), "png"), ((1, 1), "jpg"), ((2, 1), "png"), ((1, 2), "png"), ((3, 1), "jpg"), ((2, 2), "png"),
            ((1, 3), "png"), ((4, 1), "png"), ((5, 1), "png"), ((3, 2), "jpg"), ((2, 3), "png"), ((1, 5), "jpg")]
DECODER = r"""
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#include <stdio.h>
int main(int argc, char** argv) {
  int w, h, n;
  unsigned char* p = argc == 2 ? stbi_load(argv[1], &w, &h, &n, 3) : 0;
  if (!p) return 1;
  fwrite(&w, 4, 1, stdout), fwrite(&h, 4, 1, stdout);
  return fwrite(p, 3, (size_t)w * h, stdout) != (size_t)w * h;
}
"""


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    return out.getvalue()


class StbDecoder:
    def __init__(self, compiler):
        self.folder = tempfile.TemporaryDirectory()
        source = pathlib.Path(self.folder.name) / "decode.c"
        source.write_text(DECODER)
        self.program = source.with_suffix("")
        subprocess.run([compiler, "-O2", "-o", self.program, source, "-lm"], check=True)

    def __call__(self, path):
        raw = subprocess.run([self.program, path], check=True, capture_output=True).stdout
        width, height = np.frombuffer(raw[:8], np.int32)
        return np.frombuffer(raw[8:], np.uint8).reshape(height, width, 3)


class Transformers:
    """The packaged folder in transformers: f32, eager attention, greedy."""

    def __init__(self, folder):
        self.model = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager").eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.images = GotOcr2ImageProcessorPil.from_pretrained(folder)

    def __call__(self, pixels, question):
        made = self.images(Image.fromarray(pixels), return_tensors="pt")
        prompt = self.tokenizer(data.prompt_text(question, len(made["pixel_values"])), return_tensors="pt")
        with torch.no_grad():
            out = self.model.generate(**prompt, pixel_values=made["pixel_values"], do_sample=False, max_new_tokens=32)
        length = prompt["input_ids"].shape[1]
        ids = out[0, length:].tolist()
        raw = self.tokenizer.decode(ids, skip_special_tokens=False)
        text = raw.split("<|message|>")[-1].removesuffix("<|return|>")
        return {"tiles": len(made["pixel_values"]), "prompt_ids": out[0, :length].tolist(), "token_ids": ids,
                "text": text}


def digit_score(want, got):
    want, got = want.split(), got.split()
    return sum(a == b for a, b in zip(want, got)), max(len(want), len(got))


def make_scenes(heldout, count):
    rng = np.random.default_rng(SEED_SCENES)
    scenes, questions = {}, []
    for i in range(count):
        pixels, digits, _, _ = data.draw(rng, heldout, [1, 2, 3, 4, 5], WILD)
        name = f"scene.{i:04d}"
        scenes[name] = pixels
        for kinds in (["which", "order"], ["count", "largest", "sum"]):
            kind, question, reply = data.ask(rng, digits, kinds)
            questions.append({"scene": name, "type": kind, "question": question, "answer": reply})
    return scenes, questions


def make_pictures(heldout, folder, decode):
    rng = np.random.default_rng(SEED_PICTURES)
    folder.mkdir(parents=True, exist_ok=True)
    kinds = list(data.QUESTIONS)
    for i, (grid, ending) in enumerate(PICTURES):
        found = None
        while found != grid:  # the first scene of this tiling, whatever it shows
            pixels, digits, _, found = data.draw(rng, heldout, [1, 2, 3, 4, 5], WILD)
        path = folder / f"{i + 1:02d}.{ending}"
        if ending == "png":
            path.write_bytes(png(pixels))
        else:
            Image.fromarray(pixels).save(path, "JPEG", quality=90, subsampling=0 if i % 2 else 2)
        decoded = decode(path)
        if ending == "png":
            assert np.array_equal(decoded, pixels)
        for kind in (kinds[i % 2], kinds[2 + i % 3]):
            _, question, reply = data.ask(rng, digits, [kind])
            yield decoded, {"picture": path.name, "width": pixels.shape[1], "height": pixels.shape[0], "type": kind,
                            "question": question, "answer": reply}


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=here.parent.parent / "examples" / "digits")
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--compiler", default="cc")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    _, heldout = data.load_glyphs()
    answer = Transformers(args.output / "model")
    versions = {"python": platform.python_version(), "torch": torch.__version__,
                "transformers": transformers.__version__, "tokenizers": tokenizers.__version__,
                "pillow": PIL.__version__, "scikit-learn": sklearn.__version__, "numpy": np.__version__,
                "safetensors": safetensors.__version__}

    records = []
    for pixels, record in make_pictures(heldout, args.output / "pictures", StbDecoder(args.compiler)):
        records.append({**record, **answer(pixels, record["question"])})
        print(f"{record['picture']} {record['question']} {records[-1]['text']} (right: {record['answer']})", flush=True)
    (args.output / "pictures" / "expected.json").write_text("{\n" + f' "versions": {json.dumps(versions)},\n' + (
        ' "made": "transformers, float32, eager attention, greedy; pixels as stb_image decodes them",\n'
        f' "system": {json.dumps(data.SYSTEM)},\n "cases": [\n  ')
        + ",\n  ".join(json.dumps(r) for r in records) + "\n ]\n}\n")

    scenes, questions = make_scenes(heldout, args.scenes)
    packed = {name: np.frombuffer(png(pixels), np.uint8) for name, pixels in scenes.items()}
    save_file(packed, args.output / "heldout.safetensors",
              {"seed": str(SEED_SCENES), "script": "demo_heldout.py", **versions})
    whole, right, total = collections.defaultdict(list), 0, 0
    for q in questions:
        got = answer(scenes[q["scene"]], q["question"])
        whole[q["type"]].append(got["text"] == q["answer"])
        q["transformers"] = got["text"]
        if q["type"] in ("which", "order"):
            hits, places = digit_score(q["answer"], got["text"])
            right, total = right + hits, total + places
    scores = {"digits_right": right, "digits_total": total, "per_digit": round(right / total, 4),
              "whole_answer": {k: {"right": int(sum(v)), "of": len(v)} for k, v in whole.items()}}
    (args.output / "heldout.json").write_text("{\n" + f' "versions": {json.dumps(versions)},\n'
        f' "transformers_scores": {json.dumps(scores)},\n "questions": [\n  '
        + ",\n  ".join(json.dumps(q) for q in questions) + "\n ]\n}\n")
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
