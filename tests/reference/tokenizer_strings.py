"""Deterministic test strings for tokenizers: many scripts, boundaries of the split patterns, code, white
space, numbers, contractions, control text, emoji, combining marks, and bytes that are no UTF-8.
`strings()` gives bytes; `corpus()` gives text to train small vocabularies on."""

import random

WORDS = {
    "latin": "the of and picture shows a small red house with three windows near river because they "
             "cannot decide whether HTTPServer or fooBar was first naïve café Straße Ærøskøbing "
             "coöperate piñata garçon Łódź İstanbul ǅungla ﬁne don't we're I'll HE'S You'Ve it'd",
    "cyrillic": "картина показывает маленький красный дом и три окна у реки Москва ПОЧЕМУ Ёлка",
    "greek": "η εικόνα δείχνει ένα μικρό κόκκινο σπίτι Αθήνα ΓΙΑΤΊ ς ὀξύς",
    "arabic": "الصورة تظهر منزلا أحمر صغيرا مع ثلاث نوافذ مُحَمَّد ٣٤٥",
    "hebrew": "התמונה מראה בית אדום קטן עם שלושה חלונות שָׁלוֹם",
    "devanagari": "तस्वीर में एक छोटा लाल घर है क्षेत्र १२३ हिन्दी",
    "bengali": "ছবিতে একটি ছোট লাল বাড়ি দেখা যায়", "tamil": "படம் ஒரு சிறிய வீட்டைக் காட்டுகிறது",
    "thai": "ภาพนี้แสดงบ้านสีแดงหลังเล็ก ๑๒๓ น้ำ", "khmer": "រូបភាពនេះបង្ហាញផ្ទះ",
    "han": "图片显示一座红色的小房子和三扇窗户 語言模型 書生 〇一二三",
    "kana": "この画像は小さな赤い家を示しています カタカナ ﾊﾝｶｸ ー々",
    "hangul": "그림은 작은 빨간 집을 보여줍니다 각 각",
    "georgian": "სურათზე ჩანს პატარა წითელი სახლი ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ", "amharic": "ምስሉ ትንሽ ቀይ ቤት ያሳያል",
    "armenian": "Նկարը ցույց է տալիս", "tibetan": "པར་རིས་འདིས", "cherokee": "ᏣᎳᎩ ꭰꭱ",
    "math": "𝟘𝟙 𝐀𝐛 ∑∫√ x² ½ Ⅷ ⅷ ⓐ №5 ±10° 10⁻³", "deseret": "𐐀𐐨𐐁𐐩",
    "emoji": "😀 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ❤️ 1️⃣ ©️ 🧑🏿‍🚀 ☺︎",
}
CODE = [
    "if (a){\n\treturn b;\n}\n", "for i in range(10):\n    print(f\"{i:>5}\")\n",
    "#include <vector>\r\nint main() { return 0; }\r\n", "SELECT * FROM t WHERE id=1;--\n",
    "{\"a\": [1, 2.5e-3, null], \"b\\n\": true}", "https://example.org/a//b/?q=1&r=%20#x\n\n",
    "x = y/z//2\n/* c */\n//\n\n//  d", "\\frac{a}{b} $x_i^2$", "<div class='a'>it's</div>\n",
    "def __init__(self, *args, **kwargs):\n        pass\n\n\n\n", "0x7fFF 1_000_000 3.14159 1,000",
    "-----\n=====\n*****\n", "a ^= b << 3; // 'll 're\n", "\t\t\t\n \n\t \r\n\r\n  x",
]
ATOMS = ["a", "b", "Z", "BC", "é", "É", "e\u0301", "ǅ", "ʰ", "字", "あ", "א", "ا", "ก", "\u0301",
         "\u0323", "\u0300\u0316", "\u20dd", "1", "23", "456", "½", "٣", "Ⅷ", "〇", " ", "  ", "   ",
         "\t", "\n", "\n\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\xa0", "\u2003", "\u2028",
         "\u3000", "\u200b", "\u200d", "\ufeff", "\u180e", "\x00", "\x1f", "\x7f", "'", "'s", "'S",
         "'ſ", "'t", "'T", "'re", "'RE", "'rE", "'ve", "'m", "'M", "'ll", "'LL", "'lL", "'d", "'D",
         "'l", "'v", "''", "’s", "/", "//", "!", "?!", "_", "-", ".", ",", "(", "\"", "$", "€", "😀",
         "👩‍👧", "🇩", "\U00010400", "\U00010428", "𝟘", "\U0001d15e", "\ue000", "\U000e0100",
         "\u2126", "\u212b", "\u1100\u1161", "\u1100\u1161\u11a8", "가", "\u0958", "\ufb1d", "\u0344",
         "ſ", "K", "ß", "ẞ", "İ", "ı"]
CONTROLS = ["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>", "<|call|>",
            "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<img>",
            "</img>", "<IMG_CONTEXT>", "<think>", "</think>", "<tool_call>", "<|start", "|>", "<|",
            "<|end|", "end|>", "<im", "<<|end|>>", "MASK", "[MASK]", "left", "right", "Ångström",
            "A\u030angstro\u0308m", "lefty", "upright", "word", "words", "sword", "<|reserved_7|>",
            "assistant", "analysis"]
INVALID = [b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\x80",
           b"\xf4\x90\x80\x80", b"\xe0\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe2\x28\xa1", b"\xbf\xbf",
           b"\xf0\x9f", b"\xc2\x41", b"\xfe\xfe"]


def sentence(rng, low=2, high=9):
    script = rng.choice(sorted(WORDS))
    words = WORDS[script].split()
    if rng.random() < 0.25:
        words = words + WORDS[rng.choice(sorted(WORDS))].split()
    parts = []
    for _ in range(rng.randint(low, high)):
        word = rng.choice(words)
        if rng.random() < 0.1:
            word = rng.choice([word.upper(), word.title(), word.lower()])
        parts.append(word)
    separator = rng.choice([" ", " ", " ", ", ", "  ", "\n", "-", ""])
    return separator.join(parts) + rng.choice(["", ".", "!", " ", "\n", "?"])


def number(rng):
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 14)))
    return rng.choice(["", " ", "-", "$", "#", "v"]) + digits + rng.choice(["", ".5", ",000", "%", "th"])


def any_character(rng):
    while True:
        c = rng.choice([rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x3000),
                        rng.randrange(0x10000), rng.randrange(0x1F000, 0x1FB00),
                        rng.randrange(0x20000), rng.randrange(0x110000)])
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def strings(count=12000, seed=20260417):
    rng = random.Random(seed)
    result = ["", " ", "\n", "a", "'", "\x00", "\u0301", "é", "😀", "I'M you'Re HE'S   x",
              " \r\n a/b//\n", "a\n\n\n   b\n  ", "fooBarBAZ_quxHTTPServer"]
    result += CODE + CONTROLS + ATOMS
    result += [c * n for c in ["a", " ", "\n", "1", "字", "'", "é", "😀", "\u0301", "<|", "Aa", "'s"]
               for n in (2, 3, 4, 7, 16, 63)]
    result = [s.encode() for s in result]
    makers = [
        (30, lambda: "".join(rng.choice(ATOMS) for _ in range(rng.randint(2, 9)))),
        (18, lambda: sentence(rng)),
        (8, lambda: "".join(any_character(rng) for _ in range(rng.randint(1, 8)))),
        (8, lambda: "".join(rng.choice([rng.choice(CONTROLS), rng.choice(ATOMS)])
                            for _ in range(rng.randint(2, 6)))),
        (5, lambda: rng.choice(CODE)[rng.randint(0, 5):] + rng.choice(CODE)[:rng.randint(0, 20)]),
        (5, lambda: "".join(number(rng) for _ in range(rng.randint(1, 3)))),
        (5, lambda: "".join(rng.choice(" \t\n\r\u00a0\u2003") for _ in range(rng.randint(1, 10)))
            + rng.choice(["", "x", "1", "!"])),
        (5, lambda: rng.choice(sentence(rng).split() or ["x"]) + rng.choice(
            ["'s", "'S", "'T", "'t", "'RE", "'Ve", "'m", "'LL", "'D", "'ſ", "'x"]) + rng.choice(
                ["", " y", "y", "'s"])),
        (3, lambda: "".join(rng.choice("aeioucnAOU") + "".join(
            rng.choice("\u0300\u0301\u0302\u0303\u0308\u0323\u0327\u0328\u0316\u0334")
            for _ in range(rng.randint(0, 4))) for _ in range(rng.randint(1, 4)))),
    ]
    weights = [weight for weight, _ in makers]
    while len(result) < count:
        text = rng.choices(makers, weights)[0][1]().encode()
        if rng.random() < 0.04:
            at = rng.randint(0, len(text))
            text = text[:at] + rng.choice(INVALID) + text[at:]
        result.append(text[:160])  # the cut may fall inside a character
    return result[:count]


def corpus(seed=7, lines=9000):
    rng = random.Random(seed)
    for _ in range(lines):
        kind = rng.random()
        if kind < 0.7:
            yield sentence(rng, 4, 16)
        elif kind < 0.8:
            yield rng.choice(CODE)
        elif kind < 0.9:
            yield " ".join(number(rng) for _ in range(4))
        else:
            yield "".join(rng.choice(ATOMS) for _ in range(6))
    for line in SYSTEM_LINES:
        for _ in range(20):
            yield line


SYSTEM_LINES = [
    "You are a helpful assistant.", "system\n", "user\n", "assistant\n",
    "Knowledge cutoff: 2024-06\nCurrent date: 2025-06-28\n\nReasoning: medium\n\n",
    "# Valid channels: analysis, commentary, final. Channel must be included for every message.",
    "# Instructions\n\n", "# Tools\n\n## functions\n\nnamespace functions {\n\n", "Frame1: ",
]
