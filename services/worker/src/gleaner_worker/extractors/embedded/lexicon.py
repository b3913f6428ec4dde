"""Words of business documents in six languages, brought to one: `Rechnungs-Nr.` and `invoice number` are the same key.

Each word has a canonical token (`nummer` -> `no`); German and Dutch compounds are taken apart. A label's key is the
set of its tokens, so that word order and articles do not matter. Concepts (`due_date`) are lists of keys.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from gleaner_values import fold

Key = frozenset[str]

_WORD = re.compile(r"w/o|[^\W_]+(?:'[^\W_]+)?|#|№|%")
_COMPOUND = re.compile(
    r"^(?P<head>.{2,}?)s?(?P<tail>nummer|nr|datum|date|betrag|summe|sum|preis|adresse|anschrift|bezeichnung|bedrag|total|no|id|"
    r"wert|satz|prijs|adres|menge|number|amount)$"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A canonical token and where its word stands in the text."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Concept:
    """Something every business document knows: what kind of value it has, and the keys of its labels, best first."""

    name: str
    kind: str
    keys: tuple[Key, ...]
    reserve: tuple[Key, ...] = ()


def _load() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(resources.files(__package__).joinpath("lexicon.json").read_text("utf-8"))
    return loaded


_DATA = _load()
_TOKEN_OF = {fold(form): token for token, forms in _DATA["tokens"].items() for form in (*forms.split(), token)}
_NOISE = frozenset(fold(word) for word in _DATA["noise"].split())
_GLUED = 7
# Pieces of glued words: long enough not to be found everywhere.
_PIECES = frozenset(form for form in (*_TOKEN_OF, *_NOISE) if form.isalpha() and (len(form) >= 4)) | {
    "no",
    "gst",
    "tax",
    "inv",
    "due",
    "net",
    "the",
    "of",
}
_LOOKALIKES = str.maketrans("0158", "olsb")
KNOWN = frozenset(_TOKEN_OF.values())
COMPANY_FORMS = frozenset(_DATA["company_forms"].split())
PAYMENT_WORDS = frozenset(_DATA["payment_words"].split())
UNTIL_WORDS = frozenset(_DATA["until_words"].split())
STREET_WORDS = frozenset(_DATA["street_words"].split())


@lru_cache(maxsize=20_000)
def canonical(word: str) -> tuple[str, ...]:
    """The canonical tokens of a folded word: none for noise, two for a compound, itself if nothing is known of it."""
    if word in _TOKEN_OF:
        return (_TOKEN_OF[word],)
    if word in _NOISE:
        return ()
    if "'" in word:  # d'échéance
        return canonical(word.rpartition("'")[2])
    if compound := _COMPOUND.match(word):
        head, tail = compound["head"], compound["tail"]
        heads = (head, head.rstrip("s"), head + "s")
        known = next((_TOKEN_OF[h] for h in heads if h in _TOKEN_OF), None)
        if known:
            return (known, _TOKEN_OF[tail])
    if word.isalpha():
        return _unglued(word) or (word,)
    return _misread(word)


def _unglued(word: str) -> tuple[str, ...]:
    """The tokens of words that a reading ran together (`grandtotal`); empty if it is not made of known words alone."""
    if len(word) < _GLUED:
        return ()
    best: list[tuple[str, ...] | None] = [(), *[None] * len(word)]
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - 14), end):
            before, piece = best[start], word[start:end]
            if before is not None and piece in _PIECES:
                joined = (*before, *((_TOKEN_OF[piece],) if piece in _TOKEN_OF else ()))
                if best[end] is None or len(joined) < len(best[end] or ()):
                    best[end] = joined
    return best[-1] or ()


def _misread(word: str) -> tuple[str, ...]:
    """The token of a word in which letters were read as digits (`t0tal`)."""
    mended = word.translate(_LOOKALIKES)
    return (_TOKEN_OF[mended],) if mended in _TOKEN_OF and sum(c.isalpha() for c in word) >= 2 else (word,)


def tokens(text: str) -> list[Token]:
    """The canonical tokens of a text with their offsets; offsets are exact where folding keeps the length."""
    lowered = text.casefold() if len(text.casefold()) == len(text) else text.lower()
    found: list[Token] = []
    for match in _WORD.finditer(lowered):
        found += [Token(name, match.start(), match.end()) for name in canonical(fold(match.group()))]
    return found


def key(text: str) -> Key:
    """The key of a label or of a field's name (`invoice_number`, `invoiceNumber`)."""
    is_name = re.fullmatch(r"[a-z]+(?:[A-Z][a-z]+)+", text)
    spaced = re.sub(r"(?=[A-Z])", " ", text) if is_name else text.replace("_", " ")
    return frozenset(token.name for token in tokens(spaced))


def _keys(labels: list[str]) -> tuple[Key, ...]:
    return tuple(frozenset(label.split()) for label in labels)


CONCEPTS: dict[str, Concept] = {
    name: Concept(name, entry["kind"], _keys(entry["labels"]), _keys(entry.get("reserve", [])))
    for name, entry in _DATA["concepts"].items()
}
COLUMNS: dict[str, tuple[Key, ...]] = {name: _keys(labels) for name, labels in _DATA["columns"].items()}
PARTY_ATTRIBUTES: dict[str, tuple[Key, ...]] = {
    name: _keys(labels) for name, labels in _DATA["party_attributes"].items()
}
ROLES: dict[str, tuple[Key, ...]] = {name: _keys(labels) for name, labels in _DATA["roles"].items()}
LABEL_KEYS = frozenset(
    k
    for keys in (
        *(c.keys + c.reserve for c in CONCEPTS.values()),
        *COLUMNS.values(),
        *ROLES.values(),
    )
    for k in keys
)
