"""Writes tests/fixtures/tokenizer/nfc.txt and nfc.bin: what tokenizers.normalizers.NFC makes of every
code point in three contexts (CRC-32 of all results, NUL after each) and of 3,000 random sequences
(per sequence: varint length, bytes, varint length, bytes of the result)."""

import argparse
import pathlib
import random
import unicodedata
import zlib

import tokenizers
from tokenizers import normalizers

from tokenizer_fixtures import varint

CONTEXTS = {"alone": ("", ""), "before": ("q\u0301", "\u0334"), "between": ("a", "\u0316\u0301")}


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=pathlib.Path, default=here.parent / "fixtures" / "tokenizer")
    output = parser.parse_args().output
    nfc = normalizers.NFC()
    points = [chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    lines = [f"tokenizers {tokenizers.__version__}"]
    for name, (before, after) in CONTEXTS.items():
        crc = 0
        for c in points:
            crc = zlib.crc32(nfc.normalize_str(before + c + after).encode() + b"\0", crc)
        lines.append(f"{name} {crc:08x}")
    (output / "nfc.txt").write_text("\n".join(lines) + "\n")

    rng = random.Random(15)
    marks = [c for c in points if unicodedata.combining(c)]
    composed = [c for c in points if unicodedata.decomposition(c)[:1] not in ("", "<")]
    pools = [marks, marks, composed, points[:0x2000], points, "aeioqAEZ",
             "\u1100\u1112\u1161\u1175\u11a7\u11a8\u11c2\uac00\uac01\ud7a3", "\U00011935\U00011930"]
    out = varint(3000)
    for _ in range(3000):
        text = "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 6)))
        text = unicodedata.normalize(rng.choice(["NFD", "NFC"]), text) if rng.random() < 0.4 else text
        for part in (text, nfc.normalize_str(text)):
            out += varint(len(part.encode())) + part.encode()
    (output / "nfc.bin").write_bytes(out)


if __name__ == "__main__":
    main()
