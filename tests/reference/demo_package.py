"""Packs what demo_train.py learned as a Hugging Face folder: weights rounded to bf16, config, tokenizer, processor.

The image side is `GotOcr2ImageProcessor` (InternVL has none of its own), the template InternVL3.5-GPT-OSS's. The
default system text stands in chat_template.jinja and, for readers without a Jinja engine, under the key
`gov_default_system` of tokenizer_config.json.
"""

import argparse
import json
import pathlib

import torch
from transformers import GenerationConfig

import demo_data as data
import demo_train

TEMPLATE = """\
{%- macro show(content) -%}
  {%- if content is string -%}
    {{- content -}}
  {%- else -%}
    {%- for part in content -%}
      {%- if part['type'] == 'image' -%}{{- '<IMG_CONTEXT>\\n' -}}
      {%- elif part['type'] == 'video' -%}{{- '<video>\\n' -}}
      {%- elif part['type'] == 'text' -%}{{- part['text'] -}}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- if messages[0]['role'] != 'system' -%}
  {{- '<|start|>system<|message|>SYSTEM<|end|>' -}}
{%- endif -%}
{%- for message in messages -%}
  {{- '<|start|>' + message['role'] -}}
  {%- if message['role'] == 'assistant' -%}{{- '<|channel|>final' -}}{%- endif -%}
  {{- '<|message|>' + show(message['content']) + '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}
"""


def write(path, value):
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=pathlib.Path, default=here / "demo_run" / "together.pt")
    parser.add_argument("--output", type=pathlib.Path, default=here.parent.parent / "examples" / "digits" / "model")
    args = parser.parse_args()

    tokenizer = data.make_tokenizer()
    reader = demo_train.Reader(demo_train.make_config(tokenizer))
    reader.load_state_dict(torch.load(args.checkpoint, map_location="cpu", weights_only=True))
    model = reader.model.to(torch.bfloat16)  # round to nearest even
    config = model.config
    special = dict(bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id,
                   pad_token_id=config.pad_token_id)
    model.generation_config = GenerationConfig(do_sample=False, max_new_tokens=32, **special)
    args.output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(args.output)

    write(args.output / "tokenizer.json", json.dumps(json.loads(tokenizer.to_str()), indent=1, ensure_ascii=False) + "\n")
    write(args.output / "tokenizer_config.json", {
        "bos_token": "<|startoftext|>", "eos_token": "<|return|>", "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False, "padding_side": "left", "model_max_length": 512,
        "model_input_names": ["input_ids", "attention_mask"],
        "extra_special_tokens": {"start_image_token": "<img>", "end_image_token": "</img>",
                                 "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"},
        "gov_default_system": data.SYSTEM, "processor_class": "InternVLProcessor",
        "tokenizer_class": "PreTrainedTokenizerFast"})
    write(args.output / "chat_template.jinja", TEMPLATE.replace("SYSTEM", data.SYSTEM))
    pixels = {"do_convert_rgb": True, "do_resize": True, "size": {"height": data.TILE, "width": data.TILE},
              "resample": 3, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
              "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    write(args.output / "preprocessor_config.json", {
        "image_processor_type": "GotOcr2ImageProcessor", "processor_class": "InternVLProcessor", **pixels,
        "crop_to_patches": True, "min_patches": 1, "max_patches": data.MAX_TILES})
    write(args.output / "video_preprocessor_config.json", {
        "video_processor_type": "InternVLVideoProcessor", "processor_class": "InternVLProcessor", **pixels,
        "do_sample_frames": False, "initial_shift": True})
    write(args.output / "processor_config.json", {
        "processor_class": "InternVLProcessor", "image_seq_length": data.TOKENS_PER_TILE})
    count = sum(p.numel() for p in model.parameters())
    print(f"{count:,} parameters; " + ", ".join(f"{p.name} {p.stat().st_size:,}" for p in sorted(args.output.iterdir())))


if __name__ == "__main__":
    main()
