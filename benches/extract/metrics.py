"""How alike two texts are: word F1, NID and CER, as research on the same corpus defined them."""

import unicodedata
from collections import Counter

from rapidfuzz.distance import Indel, Levenshtein

# Characters that are compared for order; the rest of a long file says the same.
MAX_CHARS = 60_000


def tokens(text):
    """Words after NFKC (ligatures taken apart); every ideograph and kana is a word, for there are no spaces to part them."""
    spaced = []
    for c in unicodedata.normalize("NFKC", text):
        if _written_without_spaces(c):
            spaced += [" ", c, " "]
        elif unicodedata.category(c) != "Cf":
            spaced.append(c)
    return "".join(spaced).split()


def word_f1(truth, text):
    """Harmonic mean of precision and recall over words, each counted as often as it stands there."""
    want, have = Counter(tokens(truth)), Counter(tokens(text))
    total = want.total() + have.total()
    return 2 * (want & have).total() / total if total else 1.0


def nid(truth, text):
    """Normalised indel similarity over characters with white space normalised: it falls when blocks are out of order."""
    return Indel.normalized_similarity(_normal(truth), _normal(text))


def cer(truth, text):
    """Character error rate: edits over the length of the truth, at most 1."""
    truth = _normal(truth)
    return min(1.0, Levenshtein.distance(truth, _normal(text)) / max(1, len(truth)))


def _normal(text):
    return " ".join(tokens(text))[:MAX_CHARS]


def _written_without_spaces(c):
    return "\u3040" <= c <= "\u30ff" or "\u3400" <= c <= "\u9fff" or "\uf900" <= c <= "\ufaff"
