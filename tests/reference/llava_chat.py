r"""Writes tests/fixtures/chat/llava/ (CLIP and Llama) and tests/fixtures/chat/llava_next/ (CLIP and Mistral), both in
small and as save_pretrained of a model and of its processor lays them out, and llava_chats.json: conversations about
pictures of examples/digits and tall.png (one of them turned), their prompts, what LlavaProcessor and LlavaNextProcessor
make of them, and the tokens that transformers generates from the folders in f32, greedily. The chat templates are
written here: llava's is that of "USER: <image>\nquestion ASSISTANT:", llava_next's that of
"[INST] <image>\nquestion [/INST] answer </s>", and "published" holds prompts of the one that closes an answer with
"</s> " and puts the system text before "[INST]".
Answers have no byte tokens: of bytes that are no UTF-8 transformers makes U+FFFD each, gov keeps what is valid.

    python tests/reference/llava_chat.py [--llava FILE]

With --llava, the file conversation.py of LLaVA's repository, also conversations.json: prompts of its conv_templates.
Made with torch 2.13.0, transformers 5.23.0, tokenizers 0.23.3, Pillow 13.0.0, Python 3.11; LLaVA at c121f04."""

import argparse
import importlib.util
import json
import pathlib
import shutil
import sys

import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import (AutoModelForImageTextToText, AutoProcessor, CLIPImageProcessor, LlavaNextImageProcessor,
                          LlavaNextProcessor, LlavaProcessor, PreTrainedTokenizerFast)

import parity_common as common

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUTPUT = ROOT / "tests" / "fixtures" / "chat"
VIEW, PATCH, LIMIT, SIZE = 28, 7, 8, 480
RESOLUTIONS = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]

IMAGES = "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\\n' }}{% endfor %}"
TEXTS = "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] SPACE}}{% endfor %}"
USER = ("{{ '[INST] ' }}SYSTEM" + IMAGES + TEXTS.replace("SPACE", "") + "{{ ' [/INST]' }}")
TURNS = ("{% for message in messages %}{% if message['role'] == 'system' %}FIRST{% elif message['role'] == 'user' %}"
         + USER + "{% else %}{{ ' ' + message['content'][0]['text'] + CLOSE }}{% endif %}{% endfor %}")
INSTRUCTION = "'<<SYS>>\\n' + WHERE['content'][0]['text'] + '\\n<</SYS>>\\n\\n'"
TEMPLATES = {
    "llava": "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}"
             "{% endif %}" + IMAGES + TEXTS.replace("SPACE", "+ ' ' ")
             + "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
    "llava_next": TURNS.replace("FIRST", "").replace("CLOSE", "' </s>'").replace(
        "SYSTEM", "{% if loop.index0 == 1 and messages[0]['role'] == 'system' %}{{ "
        + INSTRUCTION.replace("WHERE", "messages[0]") + " }}{% endif %}"),
    "published": TURNS.replace("FIRST", "{{ " + INSTRUCTION.replace("WHERE", "message") + " }}").replace(
        "CLOSE", "'</s> '").replace("SYSTEM", ""),
}

DIGITS = [f"examples/digits/pictures/{i:02}.png" for i in range(12)]
TALL = "tests/fixtures/chat/tall.png"  # twice as high as it is wide, which none of the others is

TALKS = [
    dict(turns=[dict(question="Hi there")]),
    dict(turns=[dict(question="What is it?", pictures=[DIGITS[1]])]),
    dict(turns=[dict(question="Compare them.", pictures=[DIGITS[3], TALL])]),
    dict(turns=[dict(question="Look: <image> and\n<image>. Well?", pictures=[DIGITS[6], DIGITS[8]])]),
    dict(turns=[dict(question="<image>What?", pictures=[DIGITS[9]])]),
    dict(turns=[dict(question="Hello"), dict(question="What is here?", pictures=[DIGITS[7]]), dict(question="Sure?")]),
    dict(turns=[dict(question="First", pictures=[DIGITS[8]]), dict(question="Then <image>?", pictures=[DIGITS[11]])]),
    dict(turns=[dict(question="Read it.", pictures=[DIGITS[3]])], system="You are terse."),
    dict(turns=[dict(question="Who?"), dict(question="Why?")], system="Be kind.\nAlways."),
    dict(turns=[dict(content=["Before", None, "between", None, "after"], pictures=[DIGITS[4], DIGITS[1]])]),
    dict(turns=[dict(question="  é 字 \n<b> ", pictures=[DIGITS[6]])]),
]
BATCH = [dict(question="One?", pictures=[DIGITS[8]]),
         dict(question="A much longer question about two of them.", pictures=[DIGITS[1], DIGITS[7]]),
         dict(question="x <image>", pictures=[DIGITS[6]]), dict(question="No picture")]


def make_tokenizer(family):
    """The beginning of a tokenizer of tests/fixtures/tokenizer: control tokens, bytes, ASCII, the first merges."""
    name = dict(llava="llama2", llava_next="mistral")[family]
    data = json.loads((ROOT / "tests" / "fixtures" / "tokenizer" / name / "tokenizer.json").read_text())
    model = data["model"]
    order = sorted(model["vocab"], key=model["vocab"].get)
    first = order.index("<0xFF>") + 1
    kept = order[:first] + [t for t in order[first:] if len(t) == 1 and (t.isascii() or t == "▁")]
    known, merges = set(kept), []
    for pair in model["merges"]:
        a, b = pair.split(" ") if isinstance(pair, str) else pair
        if len(kept) < SIZE and a in known and b in known:
            merges.append(pair)
            if a + b not in known:
                kept.append(a + b)
                known.add(a + b)
    model["vocab"], model["merges"] = {t: i for i, t in enumerate(kept)}, merges
    tokens = [t | dict(normalized=False) for t in data["added_tokens"] if t["special"] and t["content"] in known]
    data["added_tokens"] = tokens + [dict(tokens[0], id=len(kept), content="<image>")]
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(data)), bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        pad_token="<unk>", padding_side="left", extra_special_tokens=dict(image_token="<image>"))


def make_processor(family):
    sizes = dict(size=dict(shortest_edge=VIEW), crop_size=dict(height=VIEW, width=VIEW))
    kind, images = LlavaProcessor, CLIPImageProcessor(**sizes)
    if family == "llava_next":
        kind, images = LlavaNextProcessor, LlavaNextImageProcessor(image_grid_pinpoints=RESOLUTIONS, **sizes)
    return kind(images, make_tokenizer(family), patch_size=PATCH, vision_feature_select_strategy="default",
                num_additional_image_tokens=1, chat_template=TEMPLATES[family])


def make_model(family, tokenizer, seed):
    text = dict(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=40, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, rms_norm_eps=1e-5,
                bos_token_id=1, eos_token_id=2, pad_token_id=0)
    top = dict(image_token_index=tokenizer.convert_tokens_to_ids("<image>"), image_seq_length=(VIEW // PATCH) ** 2)
    if family == "llava_next":
        text |= dict(sliding_window=None)
        top |= dict(image_grid_pinpoints=RESOLUTIONS)
    vision = dict(model_type="clip_vision_model", hidden_size=16, intermediate_size=24, num_hidden_layers=3,
                  num_attention_heads=2, image_size=VIEW, patch_size=PATCH, projection_dim=16)
    model = common.make_model(common.make_config(dict(
        composition=family, model_type=dict(llava="llama", llava_next="mistral")[family], text=text, vision=vision,
        top=top)))
    values = {}
    for name, parameter in common.stored_parameters(model, remove_duplicate=False):
        offset, amplitude = common.weight_rule(name, list(parameter.shape))
        values[name] = common.generate(name, list(parameter.shape), seed, offset, amplitude)
    bytes_from = tokenizer.convert_tokens_to_ids("<0x00>")
    values["language_model.lm_head.weight"][bytes_from:bytes_from + 256] = 0
    common.fill(model, values)
    model.generation_config.bos_token_id, model.generation_config.eos_token_id = 1, 2
    model.generation_config.pad_token_id = 0
    return model.to(torch.bfloat16)


def parts_of(turn):
    """A question as its messages have it: pictures first unless it says their places."""
    if "content" in turn:
        return turn["content"]
    count = 0 if "<image>" in turn["question"] else len(turn.get("pictures", []))
    return [None] * count + [turn["question"]]


def message(role, parts):
    return dict(role=role, content=[dict(type="image") if p is None else dict(type="text", text=p) for p in parts])


class Run:
    """A folder, read again."""

    def __init__(self, folder):
        self.processor = AutoProcessor.from_pretrained(folder)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32,
                                                                 attn_implementation="eager").eval()
        self.closest, self.ordered = 1.0, True

    def prompt(self, messages, template=None):
        return self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True,
                                                  chat_template=template)

    def inputs(self, texts, names):
        pictures = [Image.open(ROOT / name) for name in names]
        return self.processor(text=texts, images=pictures or None, padding=True, return_tensors="pt")

    def answer(self, texts, names):
        """Ids of each prompt, and its greedy tokens up to and with </s>."""
        inputs = self.inputs(texts, names)
        out = self.model.generate(**inputs, do_sample=False, max_new_tokens=LIMIT, return_dict_in_generate=True,
                                  output_scores=True)
        longest, answers = inputs["input_ids"].shape[1], []
        for b, mask in enumerate(inputs["attention_mask"].bool()):
            answer = []
            for step, token in enumerate(out.sequences[b, longest:].tolist()):
                best = out.scores[step][b].topk(2).values
                self.closest = min(self.closest, float((best[0] - best[1]) / best[0].abs()))
                answer.append(token)
                if token == self.model.generation_config.eos_token_id:
                    break
            answers.append((inputs["input_ids"][b][mask].tolist(), answer))
        return answers

    def chats(self):
        talks = json.loads(json.dumps(TALKS))
        for talk in talks:
            messages, names = [], []
            if "system" in talk:
                messages.append(message("system", [talk["system"]]))
            for turn in talk["turns"]:
                messages.append(message("user", parts_of(turn)))
                names += turn.get("pictures", [])
                turn["text"] = self.prompt(messages)
                turn["ids"], turn["tokens"] = self.answer([turn["text"]], names)[0]
                if len(turn.get("pictures", [])) > 1:  # their order must be heard
                    closest = self.closest
                    self.ordered &= self.answer([turn["text"]], names[::-1])[0][1] != turn["tokens"]
                    self.closest = closest
                turn["response"] = self.processor.decode(turn["tokens"], skip_special_tokens=True)
                messages.append(message("assistant", [turn["response"]]))
        return talks

    def batch(self):
        batch = json.loads(json.dumps(BATCH))
        for each in batch:
            each["text"] = self.prompt([message("user", parts_of(each))])
        answers = self.answer([e["text"] for e in batch], [name for e in batch for name in e.get("pictures", [])])
        return [each | dict(ids=ids, tokens=tokens) for each, (ids, tokens) in zip(batch, answers)]

    def published(self):
        """Prompts alone, of the last turn of a conversation."""
        talks = [dict(turns=["Hi"]), dict(turns=["Hi", "a fine day", "So?"], system="You are terse."),
                 dict(turns=["What is it?", "Numbers", "Sure?", "Yes", "Well"], pictures=[DIGITS[3]])]
        for talk in talks:
            messages = [message("system", [talk["system"]])] if "system" in talk else []
            for i, text in enumerate(talk["turns"]):
                pictures = talk.get("pictures", []) if i == 0 else []
                messages.append(message("assistant" if i % 2 else "user", [None] * len(pictures) + [text]))
            talk["text"] = self.prompt(messages, TEMPLATES["published"])
            talk["ids"] = self.inputs([talk["text"]], talk.get("pictures", []))["input_ids"][0].tolist()
        return talks


def conversations(file):
    """Prompts of conversation.py: as its callers build them, a picture with the first message or named in any."""
    spec = importlib.util.spec_from_file_location("conversation", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["conversation"] = module
    spec.loader.exec_module(module)
    talks = [["What now?"], ["q1", "a1", "q2"], ["q1", "a1"], ["q1", "a1", "q2", "a2"],
             ["<image>\nq1"], ["q1", "a1", "<image>\nq2"], ["Here <image> and\n<image>?", "a1", "And é <image>"]]
    rows = []
    for name in "vicuna_v1 llava_v1 llama_2 llava_llama_2 mistral_instruct chatml_direct mpt plain".split():
        for talk in talks:
            for attached in (False, True):
                if (attached and "<image>" in talk[0]) or (name == "plain" and len(talk) > 1):
                    continue  # plain has no separator behind an answer: get_prompt() raises a TypeError
                conversation = module.conv_templates[name].copy()
                for i, text in enumerate(talk):
                    first = (text, None, "Default") if attached and i == 0 else text
                    conversation.append_message(conversation.roles[i % 2], first)
                if len(talk) % 2:
                    conversation.append_message(conversation.roles[1], None)
                row = dict(style=name, turns=talk, prompt=conversation.get_prompt())
                if name == "llama_2":
                    row["system"] = conversation.system
                rows.append(row | dict(attached=1) if attached else row)
    return rows


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def lines(values):
    return "[\n" + ",\n".join(map(compact, values)) + "]"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--llava", type=pathlib.Path)
    llava = arguments.parse_args().llava
    Image.open(ROOT / DIGITS[3]).transpose(Image.Transpose.ROTATE_90).save(ROOT / TALL)
    parts = [f"\"versions\":{compact(common.versions())}"]
    for family in ("llava", "llava_next"):
        folder = OUTPUT / family
        for seed in range(1, 200):
            shutil.rmtree(folder, ignore_errors=True)
            processor = make_processor(family)
            make_model(family, processor.tokenizer, seed).save_pretrained(folder)
            (folder / "model.safetensors").chmod(0o644)
            processor.save_pretrained(folder)
            run = Run(folder)
            chats, batch = run.chats(), run.batch()
            if run.closest >= 1e-3 and run.ordered:
                break
        fields = dict(chats=lines(chats), batch=lines(batch))
        if family == "llava_next":
            fields["published"] = lines(run.published())
        fields = ",\n".join(f"\"{key}\":{text}" for key, text in fields.items())
        parts.append(f"\"{family}\":{{\"seed\":{seed},\"closest\":{run.closest:.2e},\n{fields}}}")
        print(family, "seed", seed, "closest", run.closest, [t["tokens"] for talk in chats for t in talk["turns"]])
    (OUTPUT / "llava_chats.json").write_text("{" + ",\n".join(parts) + "}\n")
    if llava:
        (OUTPUT / "conversations.json").write_text(lines(conversations(llava)) + "\n")


if __name__ == "__main__":
    main()
