"""Reads `program round name value` lines and prints, for each figure, the medians and the median of the ratios of each round."""
import collections
import statistics
import sys

found = collections.defaultdict(lambda: collections.defaultdict(dict))
for line in sys.stdin:
    program, turn, name, value = line.split()
    found[name][turn][program] = float(value)
print(f"{'figure':32} {'quire':>10} {'llama.cpp':>10} {'ratio':>7}  rounds")
for name, turns in found.items():
    own = [turn["quire"] for turn in turns.values() if "quire" in turn]
    peer = [turn["llama.cpp"] for turn in turns.values() if "llama.cpp" in turn]
    ratios = [turn["quire"] / turn["llama.cpp"] for turn in turns.values() if len(turn) == 2]
    middle = lambda values: f"{statistics.median(values):.3f}" if values else "-"
    print(f"{name:32} {middle(own):>10} {middle(peer):>10} {middle(ratios):>7}  {' '.join(f'{r:.2f}' for r in ratios)}")
