"""Letters that a reading took for others of the same shape: mended where the word around them leaves no doubt.

Only for pages that were recognised from their picture; what was read stays beside the value as its raw text.
"""

import re

from rapidfuzz.distance import Hamming

from gleaner_values import fold
from gleaner_worker.extractors.embedded.lexicon import COMPANY_FORMS, STREET_WORDS

_SHAPES = (
    (re.compile(r"(?<=[a-z])I(?=[a-z])|(?<=[a-z])I(?=[^\W\d_]*[a-z])"), "l"),
    (re.compile(r"(?<=[A-Za-z])1(?=[a-z])"), "l"),
    (re.compile(r"(?<=\d)[Oo](?=[\dOo]*(?:\W|$))"), "0"),
    (re.compile(r"(?<=\d)l(?=\d)"), "1"),
)
_WORD = re.compile(r"[^\W\d_]{4,}")
_VOCABULARY = sorted(word for word in STREET_WORDS | COMPANY_FORMS if len(word) >= 5 and word.isalpha())
_ALIKE = frozenset(frozenset(pair) for pair in ("il", "lj", "ce", "oe", "oc", "uv", "vy", "nh", "hb", "rn", "ao", "aj"))


def mended(text: str) -> str:
    """The text with shapes put right."""
    for shape, letter in _SHAPES:
        text = shape.sub(letter, text)
    return _WORD.sub(lambda match: _known(match.group()), text)


def _known(word: str) -> str:
    """A word that differs from a known one in a single letter of like shape, as that one; else itself."""
    folded = fold(word)
    if len(folded) != len(word) or folded in STREET_WORDS or folded in COMPANY_FORMS:
        return word
    for known in _VOCABULARY:
        if len(known) == len(folded) and Hamming.distance(known, folded, score_cutoff=1) == 1:
            at = next(i for i, (a, b) in enumerate(zip(known, folded, strict=True)) if a != b)
            if frozenset((known[at], folded[at])) in _ALIKE:
                letter = known[at].upper() if word[at].isupper() else known[at]
                return f"{word[:at]}{letter}{word[at + 1 :]}"
    return word
