"""Reads `program round name value` lines and prints one table: each figure beside its peer's and its goal.

Rates count processor seconds where they can, so that a busy machine changes them little. A ratio is the median of the ratios of each
round. `met` is the goal, `met+` the one beyond it."""
import collections
import statistics
import sys

LOWER, HIGHER = "<=", ">="
# figure, name, peer, direction, goal, the goal beyond. With a peer the goals are ratios to it.
ROWS = (
    ("prefill, 512 tokens (tokens / cpu s)", "prefill_tokens_per_cpu_s", "llama.cpp", HIGHER, 0.9, 1.15),
    ("decode, 1 sequence (tokens / cpu s)", "decode_b1_tokens_per_cpu_s", "llama.cpp", HIGHER, 1.0, 1.3),
    ("decode, 4 sequences (tokens / cpu s)", "decode_b4_tokens_per_cpu_s", "llama.cpp", HIGHER, 1.0, 1.4),
    ("decode, 8 sequences (tokens / cpu s)", "decode_b8_tokens_per_cpu_s", "llama.cpp", HIGHER, 1.0, 1.4),
    ("load to first token (s)", "load_to_first_token_s", None, LOWER, 2.0, 1.5),
    ("memory, loaded and one prompt (MB)", "memory_mb", None, LOWER, 900, 650),
    ("embeddings, 8 a call (texts / cpu s)", "embed_b8_per_cpu_s", "onnxruntime", HIGHER, 0.6, 1.0),
    ("embeddings, 1 a call (texts / cpu s)", "embed_one_per_cpu_s", "onnxruntime", HIGHER, 0.6, 1.0),
    ("cancel during 8,000 tokens (s)", "cancel_s", None, LOWER, 1.0, 0.3),
    ("token gap beside a prompt, p99 (s)", "token_gap_beside_prompt_p99_s", None, LOWER, 1.0, 0.4),
    # By the clock on the wall, for a quiet machine.
    ("prefill, 512 tokens (tokens / s)", "prefill_tps", "llama.cpp", None, None, None),
    ("decode, 1 sequence (tokens / s)", "decode_b1_tps", "llama.cpp", None, None, None),
    ("decode, 4 sequences (tokens / s)", "decode_b4_tps", "llama.cpp", None, None, None),
    ("decode, 8 sequences (tokens / s)", "decode_b8_tps", "llama.cpp", None, None, None),
    ("embeddings, 8 a call (s)", "embed_b8_call_s", "onnxruntime", None, None, None),
    ("embeddings, 1 a call (s)", "embed_one_call_s", "onnxruntime", None, None, None),
    ("embeddings, first numbers of one", "embed_probe", "onnxruntime", None, None, None),
    ("token gap beside a prompt, p50 (s)", "token_gap_beside_prompt_p50_s", None, None, None, None),
    ("load to first token, llama.cpp (s)", "load_to_first_token_s", "llama.cpp", None, None, None),
    ("memory, with llama.cpp's cache (MB)", "memory_mb", "llama.cpp", None, None, None),
    ("memory, highest (MB)", "memory_peak_mb", "llama.cpp", None, None, None),
)


def verdict(value, direction, goal, beyond):
    if value is None or direction is None:
        return ""
    reaches = (lambda bar: value <= bar) if direction == LOWER else (lambda bar: value >= bar)
    return "met+" if reaches(beyond) else "met" if reaches(goal) else "short"


def shown(value):
    return "-" if value is None else f"{value:.4g}"


found = collections.defaultdict(lambda: collections.defaultdict(dict))
for line in sys.stdin:
    program, turn, name, value = line.split()
    found[name][turn][program] = float(value)

print(f"{'figure':38} {'quire':>8} {'peer':>8} {'ratio':>6}  {'goal':>12}  {'':5}  of each round")
for label, name, peer, direction, goal, beyond in ROWS:
    turns = found[name].values()
    middle = lambda values: statistics.median(values) if values else None
    own = [turn["quire"] for turn in turns if "quire" in turn]
    both = [turn for turn in turns if peer in turn and "quire" in turn]
    ratios = [turn["quire"] / turn[peer] for turn in both]
    decisive = middle(ratios if peer else own)
    wanted = f"{direction} {goal} ({beyond})" if direction else ""
    columns = [shown(middle(own)), shown(middle([turn[peer] for turn in both])), shown(middle(ratios))]
    each = " ".join(shown(value) for value in (ratios or own))
    mark = verdict(decisive, direction, goal, beyond)
    print(f"{label:38} {columns[0]:>8} {columns[1]:>8} {columns[2]:>6}  {wanted:>12}  {mark:5}  {each}")
