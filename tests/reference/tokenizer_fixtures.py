"""Writes tests/fixtures/tokenizer/: small vocabularies in tokenizer.json form, test strings, and what the
`tokenizers` package makes of them.

Files
  <name>/tokenizer.json   o200k, qwen2, gpt2, llama3: trained here, a few thousand merges each
  strings.bin             count, then per string: length, bytes (numbers are LEB128 varints)
  <name>.ids              per string: count, ids (varints), as encode() gives them by default; then per
                          string two 32-bit little-endian FNV-1a hashes of the ids (each id as 4 bytes):
                          with encode_special_tokens (parse_special off), and with no added tokens at all
  real_<folder>.hash      per string the three hashes, for the published files named by --real
  VERSIONS                packages used
Bytes that are not UTF-8 are decoded with errors="replace" before they go to the package.
"""

import argparse
import json
import pathlib
import platform
import random
import struct

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers

import tokenizer_strings

TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
PATTERNS = {
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
             + CONTRACTIONS + r"?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
             r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + CONTRACTIONS
             + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + TAIL,
    "qwen2": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + TAIL,
    "llama3": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + TAIL,
}
VISION = ["<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>"]
HARMONY = ["<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>", "<|start|>",
           "<|end|>", "<|message|>", "<|call|>", "<|reserved_7|>"]
CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def special(*names):
    return [AddedToken(name, special=True, normalized=False) for name in names]


def train(name, size):
    tokenizer = Tokenizer(models.BPE())
    if name == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(PATTERNS[name]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    first = ["<|endoftext|>"] if name == "gpt2" else []  # GPT-2 holds it in the vocabulary as well
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, show_progress=False,
                                  special_tokens=first,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(tokenizer_strings.corpus(), trainer)
    if name == "o200k":
        tokenizer.add_tokens(special(*HARMONY, *VISION))
    elif name == "qwen2":
        tokenizer.add_tokens(special(*CHATML))
        tokenizer.add_tokens([AddedToken(t, special=False, normalized=False)
                              for t in ("<think>", "</think>", "<tool_call>", "</tool_call>")])
        tokenizer.add_tokens(special(*VISION, "<video>"))
        tokenizer.add_tokens([AddedToken("Ångström", normalized=True)])
    elif name == "gpt2":
        tokenizer.add_tokens([
            AddedToken("[MASK]", lstrip=True, special=True, normalized=False),
            AddedToken("word", single_word=True, normalized=False),
            AddedToken("left", lstrip=True, normalized=True),
            AddedToken("right", rstrip=True, normalized=False),
            AddedToken("<|", normalized=True), AddedToken("<|end", normalized=False),
            AddedToken("<|end|>", special=True, normalized=False),
            AddedToken("MASK", single_word=True, special=True, normalized=True)])
    elif name == "llama3":
        tokenizer.add_tokens(special("<|begin_of_text|>", "<|eot_id|>", "<|start|>"))
        begin = tokenizer.token_to_id("<|begin_of_text|>")
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|begin_of_text|> $A",
                                          special_tokens=[("<|begin_of_text|>", begin)])])
    return json.loads(tokenizer.to_str())


def harden(name, data):
    """Makes a trained file as awkward as the published ones."""
    model = data["model"]
    rng = random.Random(name)
    if name in ("o200k", "llama3"):
        model["ignore_merges"] = True
    if name == "o200k":  # several pairs for one token: rank is the place in the list
        vocabulary, extra = model["vocab"], []
        for token in sorted(vocabulary):
            for cut in range(1, len(token)):
                pair = [token[:cut], token[cut:]]
                if all(part in vocabulary for part in pair) and pair not in model["merges"]:
                    if rng.random() < 0.15:
                        extra.append(pair)
        for pair in extra:
            model["merges"].insert(rng.randint(0, len(model["merges"])), pair)
    if model.get("ignore_merges"):  # tokens that no merges reach, under freed ids: drop their merges
        long = [t for t in model["vocab"] if len(t) > 4]
        unreachable = set(rng.sample(sorted(long), 60))
        model["merges"] = [m for m in model["merges"] if "".join(m) not in unreachable]
        known = set(model["vocab"])
        assert all(m[0] in known and m[1] in known for m in model["merges"])
    if name in ("qwen2", "gpt2"):  # the older spelling
        model["merges"] = [" ".join(m) for m in model["merges"]]
    return data


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def fnv(ids):
    value = 0x811C9DC5
    for byte in struct.pack(f"<{len(ids)}I", *ids):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def encodings(text_json, texts):
    """Ids by default, with special tokens as text, and with no added tokens."""
    whole = Tokenizer.from_str(text_json)
    by_default = [e.ids for e in whole.encode_batch(texts, add_special_tokens=False)]
    whole.encode_special_tokens = True
    no_special = [e.ids for e in whole.encode_batch(texts, add_special_tokens=False)]
    bare = json.loads(text_json)
    bare["added_tokens"], bare["post_processor"] = [], None
    bare = Tokenizer.from_str(json.dumps(bare))
    return by_default, no_special, [e.ids for e in bare.encode_batch(texts, add_special_tokens=False)]


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=pathlib.Path, default=here.parent / "fixtures" / "tokenizer")
    parser.add_argument("--real", type=pathlib.Path, action="append", default=[],
                        help="folder of a published tokenizer.json; its name names the .hash file")
    parser.add_argument("--vocab-size", type=int, default=1800)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)

    strings = tokenizer_strings.strings()
    blob = varint(len(strings)) + b"".join(varint(len(s)) + s for s in strings)
    (arguments.output / "strings.bin").write_bytes(blob)
    texts = [s.decode("utf-8", errors="replace") for s in strings]

    for name in ("o200k", "qwen2", "gpt2", "llama3"):
        data = harden(name, train(name, arguments.vocab_size))
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        folder = arguments.output / name
        folder.mkdir(exist_ok=True)
        (folder / "tokenizer.json").write_text(text + "\n")
        by_default, no_special, bare = encodings(text, texts)
        out = b"".join(varint(len(ids)) + b"".join(map(varint, ids)) for ids in by_default)
        out += b"".join(struct.pack("<II", fnv(a), fnv(b)) for a, b in zip(no_special, bare))
        (arguments.output / f"{name}.ids").write_bytes(out)
        print(name, len(data["model"]["vocab"]), "tokens", len(data["model"]["merges"]), "merges",
              sum(map(len, by_default)), "ids")
    for folder in arguments.real:
        results = encodings((folder / "tokenizer.json").read_text(), texts)
        out = b"".join(struct.pack("<III", *map(fnv, three)) for three in zip(*results))
        (arguments.output / f"real_{folder.name}.hash").write_bytes(out)
        print(folder.name, sum(map(len, results[0])), "ids")
    (arguments.output / "VERSIONS").write_text(
        f"python {platform.python_version()}\ntokenizers {tokenizers.__version__}\n")


if __name__ == "__main__":
    main()
