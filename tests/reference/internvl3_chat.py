"""Writes tests/fixtures/chat/: InternVL3-1B in small (InternViT and Qwen2 with dynamic RoPE, bf16 weights, a tokenizer of
bytes) in two spellings, hf/ and internvl/ (OpenGVLab's), and chats.json: conversations, their prompts and the tokens
that transformers' InternVLForConditionalGeneration generates for them in f32, greedily.

Prompts of internvl/ are those of OpenGVLab's chat() and batch_chat(), written here from their definition: system
sentence, history, "<image>" by "<image>", num_patches_list, image_flags, answers cut at <|im_end|> and stripped, batches
padded on the left. Prompts of hf/ are transformers' apply_chat_template and InternVLProcessor's expansion.
Pixel i of a case is ((2654435761 * (i + 1) mod 2^32) >> 16) / 32768 - 1.
Made with torch 2.13.0, transformers 5.23.0, tokenizers 0.23.3, Python 3.11."""

import json
import pathlib

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import parity_common as common
from chat_fixtures import INTERNVL_TEMPLATE, expand
from parity_layouts import INTERNVL_RULES, rename
from tokenizer_fixtures import PATTERNS, special

SYSTEM = ("你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。")
CONTROLS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]
SIZE, TOKENS, LIMIT = 32, 4, 8


def make_tokenizer():
    letters = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(sorted(letters))}, merges=[]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERNS["qwen2"]), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(special(*CONTROLS))
    return tokenizer


def make_model(tokenizer, seed):
    config = common.make_config(dict(
        model_type="qwen2",
        text=dict(vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=40, num_hidden_layers=2,
                  num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=384, tie_word_embeddings=False,
                  rope_parameters=dict(rope_type="dynamic", rope_theta=1000000.0, factor=2.0)),
        vision=dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                    image_size=[SIZE, SIZE], patch_size=[8, 8], attention_bias=True),
        top=dict(image_token_id=tokenizer.token_to_id("<IMG_CONTEXT>"), image_seq_length=TOKENS, downsample_ratio=0.5,
                 tie_word_embeddings=False)))
    model = common.make_model(config)
    values = {}
    for name, parameter in common.stored_parameters(model, remove_duplicate=False):
        offset, amplitude = common.weight_rule(name, list(parameter.shape))
        values[name] = common.generate(name, list(parameter.shape), seed, offset, amplitude).to(torch.bfloat16)
    common.fill(model, values)
    return model, config, values


def pixels(count):
    i = np.arange(1, count * 3 * SIZE * SIZE + 1, dtype=np.uint64)
    bits = (i * np.uint64(2654435761) & np.uint64(0xFFFFFFFF)) >> np.uint64(16)
    values = bits.astype(np.float32) / np.float32(32768) - np.float32(1)
    return torch.from_numpy(values.reshape(count, 3, SIZE, SIZE))


def fill_images(text, num_patches_list):
    for patches in num_patches_list:
        text = text.replace("<image>", "<img>" + "<IMG_CONTEXT>" * (TOKENS * patches) + "</img>", 1)
    return text


def query_of(question, history, num_patches_list, has_pixels, system=SYSTEM):
    if not history and has_pixels and "<image>" not in question:
        question = "<image>\n" + question
    turns = "".join(f"<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n{a}<|im_end|>\n" for q, a in history)
    text = (f"<|im_start|>system\n{system}<|im_end|>\n" if system else "") + turns
    return question, fill_images(text + f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
                                 num_patches_list)


class Run:
    def __init__(self, tokenizer, model):
        self.tokenizer, self.model = tokenizer, model
        self.end, self.pad = tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("<|endoftext|>")
        self.closest = 1.0

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def generate(self, rows, images):
        """Greedy tokens of left-padded rows, up to and with <|im_end|>."""
        longest = max(map(len, rows))
        ids = torch.tensor([[self.pad] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        common.forget_lengths(self.model)
        out = self.model.generate(input_ids=ids, attention_mask=mask, do_sample=False,
                                  **({} if images is None else dict(pixel_values=images)), max_new_tokens=LIMIT, eos_token_id=self.end, pad_token_id=self.pad,
                                  return_dict_in_generate=True, output_scores=True)
        answers = []
        for b in range(len(rows)):
            answer = []
            for step, token in enumerate(out.sequences[b, longest:].tolist()):
                best = out.scores[step][b].topk(2).values
                self.closest = min(self.closest, float((best[0] - best[1]) / best[0].abs()))
                answer.append(token)
                if token == self.end:
                    break
            answers.append(answer)
        return answers

    def response(self, answer):
        return self.tokenizer.decode(answer, skip_special_tokens=True).split("<|im_end|>")[0].strip()


def opengvlab(run):
    """Conversations of turns: what chat() gets, and what comes of it."""
    def frames(n):
        return "".join(f"Frame{i + 1}: <image>\n" for i in range(n))
    talks = [
        dict(turns=[dict(question="Hi"), dict(question="And <image>?")]),
        dict(turns=[dict(question="What is it?", num_patches=[2]), dict(question="é e\u0301 字")]),
        dict(turns=[dict(question="Image-1: <image>\nImage-2: <image>\nCompare.", num_patches=[1, 2]),
                    dict(question="And <image> here?", num_patches=[1])]),
        dict(turns=[dict(question=frames(3) + "What happens?", num_patches=[1, 1, 1], video=True)]),
        dict(turns=[dict(question="Look: <image> now", num_patches=[2, 1], image_flags=[1, 1, 0])]),
    ]
    for talk in talks:
        history, patches, flags = [], [], []
        for turn in talk["turns"]:
            here = turn.get("num_patches", [])
            turn_flags = turn.get("image_flags", [1] * sum(here))
            patches, flags = patches + here, flags + turn_flags
            images = pixels(len(flags))[torch.tensor(flags, dtype=torch.bool)] if flags else None
            kept, at = [], 0
            for n in patches:  # a dummy has no place in the text
                kept.append(sum(flags[at:at + n]))
                at += n
            question, text = query_of(turn["question"], history, [n for n in kept if n], bool(flags))
            turn["text"], turn["ids"] = text, run.ids(text)
            turn["tokens"] = run.generate([turn["ids"]], images)[0]
            turn["response"] = run.response(turn["tokens"])
            history.append((question, turn["response"]))
    batch = [dict(question="One?", num_patches=[1]), dict(question="A much longer question about two.", num_patches=[2]),
             dict(question="x <image>", num_patches=[1]), dict(question="No image", num_patches=[])]
    for each in batch:
        _, text = query_of(each["question"], [], each["num_patches"], bool(each["num_patches"]))
        each["text"], each["ids"] = text, run.ids(text)
    answers = run.generate([each["ids"] for each in batch], pixels(sum(sum(e["num_patches"]) for e in batch)))
    for each, answer in zip(batch, answers):
        each["tokens"] = answer
    return talks, batch


def transformers_template(run, fast):
    image, video = {"type": "image"}, {"type": "video"}
    cases = []
    for content, images, videos in (([image, "What is it?"], [2], []), (["a ", image, "b ", image, "c"], [1, 2], []),
                                    ([video, "Then?"], [], [2])):
        parts = [{"type": "text", "text": p} if isinstance(p, str) else p for p in content]
        text = fast.apply_chat_template([{"role": "user", "content": parts}], chat_template=INTERNVL_TEMPLATE,
                                        tokenize=False, add_generation_prompt=True)
        text = expand(text, dict(images=images, videos=videos))
        ids = run.ids(text)
        cases.append(dict(content=[p if isinstance(p, str) else {"kind": p["type"]} for p in content], images=images,
                          videos=videos, text=text, ids=ids, tokens=run.generate([ids], pixels(sum(images + videos)))[0]))
    return cases


def write(folder, config, values, tokenizer, opengvlab_spelling):
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads(config.to_json_string(use_diff=False))
    text, vision = config["text_config"], config["vision_config"]
    keep = ("vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads "
            "max_position_embeddings tie_word_embeddings rms_norm_eps hidden_act model_type use_sliding_window").split()
    text = {k: text[k] for k in keep} | dict(rope_parameters=text["rope_parameters"])
    if opengvlab_spelling:
        rope = text.pop("rope_parameters")
        text |= dict(rope_theta=rope["rope_theta"], rope_scaling=dict(type="dynamic", factor=rope["factor"]),
                     architectures=["Qwen2ForCausalLM"], torch_dtype="bfloat16")
        out, fused = {}, {}
        for name, value in values.items():
            part = name.split(".attention.")[-1].split("_proj.")
            if name.startswith("vision_tower") and len(part) == 2 and part[0] in "qkv":
                layer = name.split(".")[3]
                fused.setdefault(f"vision_model.encoder.layers.{layer}.attn.qkv.{part[1]}", {})[part[0]] = value
            else:
                out[rename(name, INTERNVL_RULES)] = value
        out |= {name: torch.cat([parts[p] for p in "qkv"]) for name, parts in fused.items()}
        values = out
        config = dict(
            architectures=["InternVLChatModel"], model_type="internvl_chat", template="internvl2_5", ps_version="v2",
            select_layer=-1, downsample_ratio=0.5, force_image_size=SIZE, dynamic_image_size=True, use_thumbnail=True,
            min_dynamic_patch=1, max_dynamic_patch=12, tie_word_embeddings=False, torch_dtype="bfloat16", llm_config=text,
            vision_config={k: vision[k] for k in ("hidden_size", "intermediate_size", "num_hidden_layers",
                                                  "num_attention_heads", "layer_norm_eps", "norm_type", "hidden_act")}
            | dict(image_size=SIZE, patch_size=8, qkv_bias=True, qk_normalization=False, model_type="intern_vit_6b"))
    else:
        top = ("architectures model_type image_token_id image_seq_length downsample_ratio projector_hidden_act "
               "vision_feature_layer vision_feature_select_strategy tie_word_embeddings").split()
        for key in ("architectures", "_name_or_path", "transformers_version"):
            vision.pop(key, None)
        config = {k: config[k] for k in top} | dict(text_config=text, vision_config=vision, dtype="bfloat16")
        config["architectures"] = ["InternVLForConditionalGeneration"]
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    (folder / "tokenizer.json").write_text(tokenizer.to_str() + "\n")
    if opengvlab_spelling:  # config.json does not say the image token's id there
        (folder / "added_tokens.json").write_text(json.dumps({t: tokenizer.token_to_id(t) for t in CONTROLS}) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps(dict(
        size=dict(height=SIZE, width=SIZE), crop_to_patches=True, min_patches=1, max_patches=12)) + "\n")
    common.write_safetensors(folder / "model.safetensors", values, {"format": "pt"})


def main():
    output = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "chat"
    tokenizer = make_tokenizer()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    for seed in range(1, 100):
        model, config, values = make_model(tokenizer, seed)
        run = Run(tokenizer, model)
        talks, batch = opengvlab(run)
        cases = transformers_template(run, fast)
        if run.closest >= 1e-3:
            break
    for name in ("hf", "internvl"):
        write(output / name, config, values, tokenizer, name == "internvl")
    lines = [json.dumps(x, ensure_ascii=False, separators=(",", ":")) for x in talks]
    (output / "chats.json").write_text("{%s,\n\"chat\":[\n%s],\n\"batch\":%s,\n\"hf\":%s}\n" % (
        f"\"seed\":{seed},\"closest\":{run.closest:.2e},\"versions\":{json.dumps(common.versions())}",
        ",\n".join(lines), json.dumps(batch, ensure_ascii=False, separators=(",", ":")),
        json.dumps(cases, ensure_ascii=False, separators=(",", ":"))))
    print("seed", seed, "closest", run.closest, [t["tokens"] for talk in talks for t in talk["turns"]])


if __name__ == "__main__":
    main()
