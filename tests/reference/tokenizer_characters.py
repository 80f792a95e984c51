"""Writes the tokenizers over characters (SentencePiece-like, with byte fallback) of tests/fixtures/tokenizer/ and
what the `tokenizers` package makes of strings.bin with them; tokenizer_fixtures.py comes first.
Made with tokenizers 0.23.3, Python 3.11.

Files
  <name>/tokenizer.json  the shapes of published files, trained here, a thousand merges each:
      llama2    normalizer Prepend + Replace, no pre_tokenizer, Strip in the decoder, merges as "a b" (Llama-2, Mistral v0.1)
      mistral   Metaspace "first" without split, control tokens such as [INST], ignore_merges (Mistral v0.3, Llama-2
                as transformers 4.40 and later write it)
      gemma     Replace, Split at spaces that are gone by then, tokens of newlines and spaces, no Strip
      metaspace Metaspace with split on both sides, "always", no byte tokens, so that unk_token serves, fused
      unfused   Metaspace "never" and Prepend, unfused unk_token, some of the byte tokens only
  <name>.hash            per every second string two 32-bit little-endian hashes (FNV-1a): of the ids by default, with
                         special tokens as text, and with no added tokens at all (each id as 4 bytes, one after the
                         other); and of what decode() gives for the first ids, plain and with skip_special_tokens
  decode.bin             per name: 150 lists of random ids whose byte tokens make whole characters: count, ids, then the
                         length of the decoded text and the text, plain and with skip_special_tokens (LEB128 numbers)
"""

import json
import pathlib
import random
import struct

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import tokenizer_strings
from tokenizer_fixtures import encodings, fnv, special, varint

NAMES = ("llama2", "mistral", "gemma", "metaspace", "unfused")
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def strip_decoder(strip):
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strip else []))


def begin_with(token, number):
    return processors.TemplateProcessing(single=f"{token} $A", special_tokens=[(token, number)])


def train(name, size):
    """A trained vocabulary and its merges, words apart as SentencePiece keeps them."""
    trainee = Tokenizer(models.BPE())
    trainee.normalizer = normalizers.Replace(" ", "▁")
    trainee.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=name != "gemma")
    rng = random.Random(name)
    known = sorted({c for line in tokenizer_strings.corpus() for c in line})
    alphabet = [c for c in known if c.isascii() or rng.random() < 0.6]
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, show_progress=False, limit_alphabet=400,
                                  initial_alphabet=[c for c in alphabet if c.isalpha()][:300], special_tokens=[])
    lines = tokenizer_strings.corpus()
    if name == "gemma":
        lines = (line for line in lines if len(line) < 60)
    trainee.train_from_iterator(lines, trainer)
    model = json.loads(trainee.to_str())["model"]
    return model["vocab"], model["merges"]


def make(name):
    first = {"gemma": ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]}.get(name, ["<unk>", "<s>", "</s>"])
    if name == "gemma":
        first = first + ["<unused0>", "<start_of_turn>", "<end_of_turn>", "\n\n", "\n\n\n", "▁▁", "▁▁▁▁", "<table>"]
    if name == "mistral":
        first = first + ["[INST]", "[/INST]", "[TOOL_CALLS]"]
    tokens = {"metaspace": [], "unfused": BYTES[:200]}.get(name, BYTES)
    if name == "gemma":  # the tab has its own token there, in place of its byte
        tokens = ["\t" if token == "<0x09>" else token for token in tokens]
    trained, merges = train(name, 1300)
    order = first + tokens
    order += [token for token in sorted(trained, key=trained.get) if token not in set(order)]
    vocabulary = {token: number for number, token in enumerate(order)}
    merges = [tuple(pair) for pair in merges if all(part in vocabulary for part in (*pair, "".join(pair)))]
    tokenizer = Tokenizer(models.BPE(
        vocab=vocabulary, merges=merges, byte_fallback=name != "metaspace", fuse_unk=name != "unfused",
        unk_token=None if name == "mistral" else "<unk>", ignore_merges=name == "mistral"))
    space = normalizers.Replace(" ", "▁")
    if name == "llama2":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), space])
        tokenizer.add_special_tokens([AddedToken(t, normalized=t == "</s>", special=True) for t in first])
        tokenizer.decoder = strip_decoder(True)
        tokenizer.post_processor = begin_with("<s>", 1)
    elif name == "mistral":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        tokenizer.add_special_tokens(special(*first))
        tokenizer.add_tokens([AddedToken("<image>", special=True, normalized=False),
                              AddedToken("<think>", special=False, normalized=False, rstrip=True),
                              AddedToken("é", special=False, normalized=False)])
        tokenizer.decoder = strip_decoder(True)
        tokenizer.post_processor = begin_with("<s>", 1)
    elif name == "gemma":
        tokenizer.normalizer = space
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        tokenizer.add_special_tokens(special(*[t for t in first if t.startswith("<")]))
        tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in first if t[0] in "\n▁"])
        tokenizer.decoder = strip_decoder(False)
        tokenizer.post_processor = begin_with("<bos>", 2)
    elif name == "metaspace":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.add_special_tokens(special(*first, "<img>"))
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace("a", "e")])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Metaspace(prepend_scheme="never", split=True), pre_tokenizers.Split("!", "isolated")])
        tokenizer.add_special_tokens(special(*first))
        tokenizer.add_tokens([AddedToken("word", single_word=True, normalized=True),
                              AddedToken("right", lstrip=True, normalized=False)])
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    data = json.loads(tokenizer.to_str())
    if name == "llama2":
        data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    if name == "metaspace":  # the older spelling
        for part in ("pre_tokenizer", "decoder"):
            del data[part]["prepend_scheme"], data[part]["split"]
            data[part]["add_prefix_space"] = True
    return data


def fnv_bytes(text):
    value = 0x811C9DC5
    for byte in text:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def decoding(text):
    """The tokenizer to decode with. tokenizers 0.23 takes an added token with normalized = true for its normalized
    content then, and so neither as special nor as it is written: as if none were normalized is what we want."""
    data = json.loads(text)
    for token in data["added_tokens"]:
        token["normalized"] = False
    return Tokenizer.from_str(json.dumps(data))


def whole_characters(tokenizer, ids):
    """Without the byte tokens whose run is not UTF-8, of which the library keeps the valid part."""
    kept, run = [], []
    for number in ids + [None]:
        token = None if number is None else tokenizer.id_to_token(number)
        if token in BYTES:
            run.append(number)
            continue
        text = bytes(BYTES.index(tokenizer.id_to_token(n)) for n in run)
        try:
            text.decode()
            kept += run
        except UnicodeDecodeError:
            pass
        run = []
        if number is not None:
            kept.append(number)
    return kept


def main():
    output = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "tokenizer"
    blob, at, strings = (output / "strings.bin").read_bytes(), 0, []

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = blob[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    for _ in range(number()):
        size = number()
        strings.append(blob[at:at + size].decode("utf-8", errors="replace"))
        at += size
    strings = strings[::2]
    decoded = b""
    for name in NAMES:
        text = json.dumps(make(name), ensure_ascii=False, separators=(",", ":"))
        (output / name).mkdir(exist_ok=True)
        (output / name / "tokenizer.json").write_text(text + "\n")
        tokenizer = Tokenizer.from_str(text)
        by_default, no_special, bare = encodings(text, strings)
        reader = decoding(text)
        texts = [reader.decode_batch(by_default, skip_special_tokens=skip) for skip in (False, True)]
        out = b"".join(struct.pack("<II", fnv(a + b + c), fnv_bytes((plain + skipped).encode()))
                       for a, b, c, plain, skipped in zip(by_default, no_special, bare, *texts))
        (output / f"{name}.hash").write_bytes(out)
        rng = random.Random(name)
        size = tokenizer.get_vocab_size()
        for _ in range(150):
            ids = [rng.randrange(rng.choice((8, 300, size))) for _ in range(rng.randint(1, 12))]
            ids = whole_characters(tokenizer, ids)
            decoded += varint(len(ids)) + b"".join(map(varint, ids))
            for skip in (False, True):
                one = reader.decode(ids, skip_special_tokens=skip).encode()
                decoded += varint(len(one)) + one
        print(name, size, "tokens", sum(map(len, by_default)), "ids,",
              sum("<unk>" in text for text in texts[0]), "texts with <unk>")
    (output / "decode.bin").write_bytes(decoded)


if __name__ == "__main__":
    main()
