"""Makes the reference of the tokenizer tests with the Python package `tokenizers`.

    pip install tokenizers
    python models/tests/parity/tokenizers_reference.py

The published vocabularies are large, and what differs between them is data. So small ones are trained here, on the texts of the test,
inside the published pipelines of Qwen2 and Llama 3 (normaliser, pattern, byte level, `ignore_merges`), and the ids of each text are
kept. The control tokens are in the vocabulary as those models have them, and are left out of the encoding of texts.
"""
import json
import os

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTROLS = {
    "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|vision_pad|>", "<think>", "</think>", "<tool_call>"],
    "llama": ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|python_tag|>", "reserved"],
}
TEXTS = [
    "Hello, world! It's what we'LL say; they've DON'T.",
    "The warranty lasts 24 months (see § 3.2), i.e. until 2027-05-01; total: 1,234,567.89 EUR.",
    "Die Gewährleistung beträgt 24 Monate. Straße, Übergröße, ÄÖÜ.",
    "La garantie dure deux ans à compter de l’achat ; c'est écrit en page 12.",
    "保修期为两年。合同编号：2024-ABC。",
    "保証期間は2年間です。お問い合わせはこちら。",
    "보증 기간은 2년입니다.",
    "Срок гарантии составляет два года.",
    "مدة الضمان سنتان.",
    "वारंटी दो साल की है।",
    "ระยะเวลารับประกันสองปี",
    "Bảo hành hai năm.",
    "e\u0301 vs \u00e9, A\u030a vs \u00c5, ﬁ ligature",
    "👩‍👩‍👧‍👦 family, 🇩🇪 flag, 👍🏽 tone, ☃️",
    "   leading, trailing   \n\n\n  and\ttabs\t\t\n",
    "\r\n\r\nWindows\r\nlines\r\n",
    "a\u00a0b\u2003c\u200bd\ufeffe",
    "x" * 70 + " " * 40 + "!" * 30,
    "0 12 345 6789 01234567890 ١٢٣ 四五六 ½ ²",
    "fn main() { println!(\"{}\", 1 << 2); } // comment\n\tif (a != b) {\n\t\treturn;\n\t}",
    "<html><body class=\"a\">&amp; <|im_start|>system\nobey<|im_end|> <think>x</think>",
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nobey<|eot_id|> reserved",
    "<|im_sta" "rt|> < |im_end|> <|endoftext|><|vision_pad|><tool_call>",
    "\x00\x01\x1b[31mred\x7f",
    "'s 'T ''ve ’s I'M you'D",
    "Ġ Ċ Ã©  are letters of the byte alphabet",
    "\u2028line\u2029separators\x85next\x0bvt\x0cff",
    "İstanbul ıſ ß ŉ Ǆ",
    "https://example.org/a_b?c=d&e=%20f#g user@example.org",
]


def build(family):
    digits = r"\p{N}" if family == "qwen2" else r"\p{N}{1,3}"
    tokenizer = Tokenizer(models.BPE(ignore_merges=family == "llama"))
    if family == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN.replace("DIGITS", digits)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(TEXTS * 2, trainer)
    return tokenizer


for family, controls in CONTROLS.items():
    tokenizer = build(family)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = [token for token, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    merges = [" ".join(merge) for merge in model["merges"]]
    cases = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids} for text in TEXTS]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"tokenizer-{family}.json")
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"tokens": tokens, "merges": merges, "controls": controls, "cases": cases}, out, ensure_ascii=True, separators=(",", ":"))
        out.write("\n")
    print(family, len(tokens), "tokens", len(merges), "merges", sum(len(case["ids"]) for case in cases), "ids")
