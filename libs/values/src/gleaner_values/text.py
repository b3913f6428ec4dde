"""Folding: what two prints of the same text have in common once case, accents, spaces and punctuation are gone."""

import re
import unicodedata

_SPACES = re.compile(r"\s+")
_NOT_ALNUM = re.compile(r"[\W_]+")
# Letters that Unicode does not decompose, and quotes and dashes that printers vary.
_SPECIAL = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ł": "l",
        "æ": "ae",
        "œ": "oe",
        "ð": "d",
        "þ": "th",
        "’": "'",
        "‘": "'",
        "´": "'",
        "`": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "–": "-",
        "—": "-",
        "−": "-",
        "‐": "-",
        "‑": "-",
        "\u00ad": None,
        "\u200b": None,
    }
)


def tidy(text: str) -> str:
    """The text with single spaces between its words and none around it."""
    return _SPACES.sub(" ", text).strip()


def fold(text: str) -> str:
    """The text without case and accents, with plain quotes and dashes and single spaces."""
    if text.isascii():
        return tidy(text.lower())
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_SPECIAL))
    return tidy("".join(c for c in decomposed if not unicodedata.combining(c)).translate(_SPECIAL))


def letters(text: str) -> str:
    """Only the letters and digits of the folded text: equal for two prints of the same words."""
    return _NOT_ALNUM.sub("", fold(text))


def words(text: str) -> list[str]:
    """The runs of letters and digits of the folded text."""
    return _NOT_ALNUM.sub(" ", fold(text)).split()
