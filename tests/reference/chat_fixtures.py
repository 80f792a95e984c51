"""Writes tests/fixtures/tokenizer/chat.json: conversations, the text that the chat templates make of them
and its tokens, by transformers' apply_chat_template and the `tokenizers` package.

--harmony-template is the chat_template.jinja published with gpt-oss (not part of this repository). With
--real (the folder of the published gpt-oss tokenizer) real_chat.hash gets a 32-bit FNV-1a of the ids per
harmony case. Images and videos are expanded by transformers' InternVLProcessor."""

import argparse
import datetime
import json
import pathlib
import struct
import types

import transformers
from tokenizers import Tokenizer
from transformers import InternVLProcessor, PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from tokenizer_fixtures import fnv

DATE = "2025-06-28"
WEATHER = {"name": "get_weather", "description": "Gets the weather.", "parameters": {
    "type": "object", "properties": {
        "location": {"type": "string", "description": "City and state, e.g. Lyon, \"Rhône\""},
        "format": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
        "days": {"type": "integer", "default": 3}},
    "required": ["location"]}}
TIME = {"name": "get_time", "description": "Now.", "parameters": {"type": "object", "properties": {}}}
TYPES = {"name": "all_types", "description": "Every shape\nof schema.", "parameters": {
    "type": "object", "required": ["a", "nested"], "properties": {
        "a": {"type": "array", "items": {"type": "string"}, "description": "strings"},
        "b": {"type": "array", "items": {"type": "integer"}, "nullable": True},
        "c": {"type": "array", "items": {"type": "number"}, "default": [1, 2.5, 1e20, 1e-7, -0.0, 100.0]},
        "d": {"type": "array", "items": {"type": "boolean"}},
        "e": {"type": "array"}, "f": {"type": "array", "nullable": True},
        "g": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        "h": {"type": "array", "items": {"type": "object", "properties": {
            "x": {"type": "number"}, "long_name_of_a_property_that_makes_it_any": {"type": "string"}}}},
        "i": {"type": "array", "items": {"type": "object"}},
        "j": {"type": ["string", "null"], "default": None}, "k": {"type": ["object"]},
        "l": {"type": "string", "nullable": True, "default": "x\"y\n\u00e9\u001f"},
        "m": {"type": "boolean", "default": False}, "n": {"type": "number", "default": 0.1},
        "nested": {"type": "object", "required": ["y"], "properties": {
            "x": {"type": "integer"}, "y": {"type": "object", "properties": {
                "z": {"type": "string", "enum": ["p", "q"]}}}, "w": {"type": "boolean"}}},
        "o": {"oneOf": [{"type": "string", "description": "a name"},
                        {"type": "integer", "default": 7}, {"type": "object"}], "default": "anna"},
        "q": {"oneOf": [{"type": "number"}]},
        "r": {"type": "object", "default": {"k": [True, None], "é": "\t"}},
        "s": {}, "t": {"type": "null"}, "u": {"type": "string", "enum": [1, "two", None, True, 2.0]},
        "v": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "number"}]}},
        "w": {"type": "string", "description": "", "default": ""}}}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, thinking=None):
    return {"role": "assistant", "content": text} | ({"thinking": thinking} if thinking else {})


def call(name, arguments, thinking=None, **more):
    message = {"role": "assistant", "tool_calls": [
        {"type": "function", "function": {"name": name, "arguments": arguments} | more}]}
    return message | ({"thinking": thinking} if thinking else {})


def tool(text):
    return {"role": "tool", "content": text}


HARMONY = [
    dict(messages=[user("Hi")]),
    dict(messages=[user("")]),
    dict(messages=[]),
    dict(messages=[{"role": "system", "content": "Answer in verse."}, user("Why is the sky blue?")]),
    dict(messages=[{"role": "developer", "content": "Be brief.\n\n- no lists"}, user("2 + 2?")],
         reasoning_effort="high"),
    dict(messages=[{"role": "system", "content": ""}, user("x")], reasoning_effort="low"),
    dict(messages=[user("Hi"), assistant("Hello!"), user("And  now?\n")]),
    dict(messages=[user("Hi"), assistant("Hello!", "They greet."), user("And?"),
                   assistant("Nothing.", "Hm."), user("Ok")]),
    dict(messages=[user("Hi"), assistant("Hello!", "They greet.")], add_generation_prompt=False),
    dict(messages=[user("Hi"), assistant("Hello!")], add_generation_prompt=False),
    dict(messages=[user("Hi"), assistant("A", "t1"), user("b"), assistant("B", "t2")],
         add_generation_prompt=False),
    dict(messages=[user("Hi")], add_generation_prompt=False),
    dict(messages=[user("Hi")], model_identity="You are GOV, a model that sees."),
    dict(messages=[user("Weather in Lyon?")], tools=[WEATHER]),
    dict(messages=[{"role": "developer", "content": "Use tools."}, user("?")], tools=[WEATHER, TIME]),
    dict(messages=[user("types")], tools=[TYPES, TIME]),
    dict(messages=[user("Weather?"), call("get_weather", {"location": "Lyon", "days": 2}, "Need it.")],
         tools=[WEATHER]),
    dict(messages=[user("Weather?"), call("get_weather", {"location": "Zürich \"c\""}, "Need it."),
                   tool('{"sunny": true, "t": 21}')], tools=[WEATHER]),
    dict(messages=[user("Weather?"), call("get_weather", {}, "Need it."), tool("rain\n\t\"x\" é \x01"),
                   call("get_time", {"zone": None}, "And the time."), tool("12:00")],
         tools=[WEATHER, TIME]),
    dict(messages=[user("Weather?"), call("get_weather", {"location": "Lyon"}, "Need it."),
                   tool("rain"), assistant("It rains.", "done"), user("Sure?")], tools=[WEATHER]),
    dict(messages=[user("Weather?"), call("get_weather", {"location": "Lyon"}, "Need it."),
                   tool("rain"), assistant("It rains.", "done"), user("Time?"),
                   call("get_time", {}, "clock", content_type="text"), tool("now")],
         tools=[WEATHER, TIME]),
    dict(messages=[user("Weather?"), call("get_weather", {"a": [1, {"b": 2.5}]}, "n"), tool("rain"),
                   assistant("It rains.", "done")], tools=[WEATHER], add_generation_prompt=False),
    dict(messages=[user("Weather?"), call("get_weather", {"location": "x"}), tool("y")],
         add_generation_prompt=False),
    dict(messages=[user("多言語: これは？ العربية नमस्ते 👩‍👩‍👧 e\u0301"), assistant("  leading"), user("\n\nlines\n")]),
    dict(messages=[user("ends in colon:"), assistant("x = {\n  \"a\": 1\n}\n"), user("    indented")]),
]


def ours(messages):
    """The same conversation as gov::Message fields."""
    result = []
    for m in messages:
        if "tool_calls" in m:
            function = m["tool_calls"][0]["function"]
            if m.get("thinking"):
                result.append(dict(role="assistant", channel="analysis", text=m["thinking"]))
            result.append(dict(role="assistant", recipient="functions." + function["name"],
                               content_type=function.get("content_type", ""),
                               text=json.dumps(function["arguments"], ensure_ascii=False)))
            continue
        if m.get("thinking"):
            result.append(dict(role="assistant", channel="analysis", text=m["thinking"]))
        result.append(dict(role=m["role"], text=m["content"]))
    return result


INTERNVL_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif part['type'] == 'video' %}{{ '<video>\n' }}{% elif part['type'] == 'text' %}"
    "{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
IMAGE, VIDEO = {"type": "image"}, {"type": "video"}


def said(*parts, role="user"):
    return {"role": role, "content": [{"type": "text", "text": p} if isinstance(p, str) else p
                                      for p in parts]}


INTERNVL = [
    dict(messages=[user("Hi")]),
    dict(messages=[{"role": "system", "content": "You see."}, said(IMAGE, "What is this?")], images=[1]),
    dict(messages=[said(IMAGE, IMAGE, "Compare.")], images=[1, 3]),
    dict(messages=[said("First ", IMAGE, "then ", IMAGE, "which?"), said("the second", role="assistant"),
                   said("and ", IMAGE, "this?")], images=[2, 1, 5]),
    dict(messages=[said(VIDEO, "What happens?")], videos=[3]),
    dict(messages=[said(IMAGE, VIDEO, "x", VIDEO, IMAGE)], images=[1, 2], videos=[1, 12]),
    dict(messages=[user("Hi"), assistant("Hello é e\u0301"), user("语言 ?")], add_generation_prompt=False),
]


def expand(text, case):
    """Placeholders by the real processor's own methods, 4 tokens per tile."""
    processor = types.SimpleNamespace(start_image_token="<img>", end_image_token="</img>",
                                      image_token="<IMG_CONTEXT>", image_seq_length=4)
    images, videos = case.get("images", []), case.get("videos", [])
    parts, i, v = [], 0, 0
    while text:
        at = min((k for k in (text.find("<IMG_CONTEXT>"), text.find("<video>")) if k >= 0), default=-1)
        if at < 0:
            break
        parts.append(text[:at])
        if text.startswith("<video>", at):
            import numpy
            frames = {"pixel_values_videos": [numpy.zeros((n, 1)) for n in videos]}
            parts.append(InternVLProcessor.replace_video_token(processor, frames, v))
            v, text = v + 1, text[at + len("<video>"):]
        else:
            parts.append(InternVLProcessor.replace_image_token(processor, {"num_patches": images}, i))
            i, text = i + 1, text[at + len("<IMG_CONTEXT>"):]
    assert i == len(images) and v == len(videos)
    return "".join(parts) + text


def internvl_ours(messages):
    def part(p):
        return p["text"] if p["type"] == "text" else {"kind": p["type"]}
    return [dict(role=m["role"], content=[m["content"]] if isinstance(m["content"], str)
                 else [part(p) for p in m["content"]]) for m in messages]


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=pathlib.Path, default=here.parent / "fixtures" / "tokenizer")
    parser.add_argument("--harmony-template", type=pathlib.Path, required=True)
    parser.add_argument("--real", type=pathlib.Path)
    arguments = parser.parse_args()
    template = arguments.harmony_template.read_text()
    fast = {name: PreTrainedTokenizerFast(
        tokenizer_file=str(arguments.output / name / "tokenizer.json")) for name in ("o200k", "qwen2")}
    real = Tokenizer.from_file(str(arguments.real / "tokenizer.json")) if arguments.real else None

    def ids(tokenizer, text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    class FixedDate(datetime.datetime):  # the template asks for today
        @classmethod
        def now(cls, tz=None):
            return cls.fromisoformat(DATE)

    chat_template_utils.datetime = FixedDate
    cases, hashes = [], b""
    for case in HARMONY:
        options = {k: v for k, v in case.items() if k not in ("messages", "tools")}
        options.setdefault("add_generation_prompt", True)
        tools = [{"type": "function", "function": t} for t in case.get("tools", [])]
        messages = case["messages"] or [{"role": "none", "content": ""}]  # the template needs one
        text = fast["o200k"].apply_chat_template(
            messages, tools=tools or None, chat_template=template, tokenize=False,
            **options)
        cases.append(dict(kind="harmony", messages=ours(case["messages"]), tools=case.get("tools", []),
                          options=options | dict(current_date=DATE), text=text,
                          ids=ids(fast["o200k"].backend_tokenizer, text)))
        if real:
            hashes += struct.pack("<I", fnv(ids(real, text)))
    for case in INTERNVL:
        text = fast["qwen2"].apply_chat_template(
            case["messages"], chat_template=INTERNVL_TEMPLATE, tokenize=False,
            add_generation_prompt=case.get("add_generation_prompt", True))
        text = expand(text, case)
        cases.append(dict(kind="internvl", messages=internvl_ours(case["messages"]),
                          images=case.get("images", []), videos=case.get("videos", []),
                          options=dict(add_generation_prompt=case.get("add_generation_prompt", True)),
                          text=text, ids=ids(fast["qwen2"].backend_tokenizer, text)))
    lines = ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases)
    (arguments.output / "chat.json").write_text(
        '{"transformers":"%s","cases":[\n%s\n]}\n' % (transformers.__version__, lines))
    if real:
        (arguments.output / "real_chat.hash").write_bytes(hashes)
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
